"""Commands that change something without asking the engine: they stand in the audit log all the same."""

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.audit import Act, Answer, AuditLog, Caller
from engine.commands.shared.out import complain
from engine.flow.datadir import DataDir


@contextmanager
def audited(datadir: DataDir, act: str, what: str, why: str) -> Iterator[Answer]:
    """Write a command before it is run inside, and its answer afterwards, in the name of the user of the machine.

    Where the log cannot be written, as by one who may only read the data directory, standard error says so.
    """
    audit = AuditLog(datadir.audit, lambda: time.time_ns() // 1_000_000)
    number = audit.asked(Caller(_user(), "", "this machine", "command"), Act(act, what, why))
    answer = Answer()
    try:
        yield answer
    except Exception as fault:
        answer.text = f"failed: {fault}"
        raise
    finally:
        audit.answered(number, answer.text)
        if audit.fault:
            complain(f"the audit log of {datadir.root} does not have this: {audit.fault}")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
