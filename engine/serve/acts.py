"""What a request asks for, as the audit log has it."""

from connectors.audit import Act
from engine.serve.controls import ControlBody, CustomerBody, ListBody, ReplayedBody, TrialBody


def of_control(body: ControlBody) -> Act:
    """Return a pause, resume or kill."""
    return Act(body.action, f"{body.kind} {body.name}", body.reason)


def of_list(body: ListBody) -> Act:
    """Return a change of a list: how many, and of one alone who."""
    ends = f" until {body.until}" if body.until else f" for {body.lasts}" if body.lasts else ""
    who = str(body.subscribers[0]) if len(body.subscribers) == 1 else f"{len(body.subscribers)} subscribers"
    return Act("add to list" if body.member else "remove from list", f"{body.name}: {who}{ends}")


def of_export(body: CustomerBody) -> Act:
    """Return an export of all that is kept of a subscriber."""
    return Act("export", f"customer {body.subscriber}")


def of_erase(body: CustomerBody) -> Act:
    """Return the end of a subscriber's state."""
    return Act("erase", f"customer {body.subscriber}")


def of_replayed(body: ReplayedBody) -> Act:
    """Return dead letters that were put back."""
    return Act("replay", f"{len(body.numbers)} dead letters")


def of_trial(body: TrialBody) -> Act:
    """Return a text for a test number."""
    return Act("trial", f"rule {body.rule} to {body.number}")
