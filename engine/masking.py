"""Numbers in logs, metrics and status are masked: enough to recognise, not enough to call."""

SHOWN_FIRST, SHOWN_LAST = 3, 2


def masked(subscriber: int) -> str:
    """Return an MSISDN with its middle digits starred: 861****78."""
    digits = str(subscriber)
    return f"{digits[:SHOWN_FIRST]}****{digits[-SHOWN_LAST:]}"
