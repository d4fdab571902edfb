"""An invariant that does not hold, and how it is said."""


class BrokenError(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def hold(truth: object, invariant: str, detail: object = "") -> None:
    """Raise `BrokenError` unless `truth` holds."""
    if not truth:
        raise BrokenError(invariant, str(detail))
