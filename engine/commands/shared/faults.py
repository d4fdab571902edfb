"""The faults that a user can mend, and the text to print for them."""

from connectors.contract import GatewayError
from connectors.kafka import BrokerError
from connectors.secret import SecretError
from connectors.sources.mapping import MappingError
from connectors.tls import TlsError
from engine.book.versions import VersionError
from engine.commands.shared.error import CommandError
from engine.flow.datadir import DataDirError
from engine.settings.reading import ConfigErrors
from rules.diagnostics import BookErrors
from state.disk import DiskError
from state.formats import NewerFormatError
from state.visible import visible, visible_lines

FAULTS = (
    BrokerError,
    CommandError,
    ConfigErrors,
    BookErrors,
    DataDirError,
    DiskError,
    GatewayError,
    MappingError,
    NewerFormatError,
    SecretError,
    TlsError,
    VersionError,
    OSError,
)


def say(fault: BaseException) -> str:
    """Return what to print for a fault: one line, but for files with several faults, which are printed all."""
    if isinstance(fault, ConfigErrors | BookErrors):
        return f"\n{visible_lines(str(fault))}"
    if isinstance(fault, OSError) and fault.filename is not None:
        return visible(f"{fault.filename}: {fault.strerror}")
    if isinstance(fault, OSError) and fault.strerror:
        return visible(fault.strerror)
    return visible(str(fault)) or type(fault).__name__
