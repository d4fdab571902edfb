"""The engines of `tests.engine`, to be broken here."""

from tests.engine.conftest import make, nursery

__all__ = ["make", "nursery"]
