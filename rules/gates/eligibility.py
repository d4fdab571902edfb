"""Eligibility: an offer may need services that the subscriber holds, and is not made to who holds it already."""

from state.jit import kernel


@kernel
def not_eligible(services: int, requires: int, unless_holds: int) -> bool:
    """Return whether a service in `requires` is missing from, or one in `unless_holds` is in, the `services` bits."""
    return (services & requires) != requires or (services & unless_holds) != 0
