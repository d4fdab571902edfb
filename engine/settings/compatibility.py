"""Whether a configuration and a book fit together: what a feed brings, and where each channel goes.

Each is sound by itself by then. What is found here would show late otherwise: as lines that are dead letters, or as
decisions that are refunded because nothing sends their channel.
"""

from collections.abc import Iterator
from pathlib import Path

from connectors.sources.mapping import MappingError, compile_mapping
from engine.settings.alerts import lost_alerts
from engine.settings.config import Config
from engine.settings.reading import ConfigErrors
from rules.diagnostics import nearest
from rules.model import Book
from rules.toml import Document, read_document

SOURCE_KINDS = ("files", "tcp", "http", "kafka")


def check_compatibility(config: Config, path: Path, book: Book) -> None:
    """Compare the configuration read from `path` with a book; ConfigErrors says what does not fit, and where."""
    document = read_document(str(path), path.read_text(encoding="utf-8"))
    faults = [*_sources(config, document, book), *_channels(config, document, book)]
    if faults:
        raise ConfigErrors(faults)


def _sources(config: Config, document: Document, book: Book) -> Iterator[str]:
    """Yield the event types and fields that mappings name and the book lacks."""
    for kind in SOURCE_KINDS:
        for index, source in enumerate(getattr(config.sources, kind)):
            try:
                compile_mapping(source.mapping, book.schema)
            except MappingError as error:
                for fault in error.faults:
                    setting, _, reason = fault.partition(": ")
                    place = document.place(("sources", kind, index, "mapping", setting))
                    yield f"{place}: source {source.name!r}, mapping.{setting}: {reason}"


def _channels(config: Config, document: Document, book: Book) -> Iterator[str]:
    """Yield channels of the book that nothing sends, and settings of channels that the book does not send so."""
    used = {name for rule in book.rules if rule.enabled for name in rule.channels}
    for name, channel in book.channels.items():
        if channel.kind == "desk":
            if name in used and not config.desk.enabled:
                place = document.place(("desk", "enabled"))
                yield f"{place}: desk.enabled=false, but rules of the book use its desk channel {name!r}"
        elif name in used and name not in config.channels:
            yield f"{document.place(())}: channels.{name} is missing: rules of the book use it, and no gateway sends it"
    for name in config.channels:
        place = document.place(("channels", name), key=True)
        if name not in book.channels:
            hint = nearest(name, book.channels) or f"there are: {', '.join(book.channels) or 'none'}"
            yield f"{place}: channels.{name}: the book has no such channel; {hint}"
        elif book.channels[name].kind == "desk":
            yield f"{place}: channels.{name}: the book's channel is the desk's; gateway, quota and rate are never used"
        elif book.channels[name].kind != "alert" and config.channels[name].destination:
            place = document.place(("channels", name, "destination"))
            yield f"{place}: channels.{name}.destination: only alert channels have one"
    for name, fault in lost_alerts(config, book):
        yield f"{document.place(('channels', name), key=True)}: {fault}"
