"""The engines of `tests.engine`, for hostile input."""

from tests.engine.conftest import make, nursery

__all__ = ["make", "nursery"]
