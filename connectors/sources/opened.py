"""Opening a source of any kind, and the folder from which its replayed lines are read.

Separate from the package itself, which the settings import: this module knows what a source is when it runs.
"""

from pathlib import Path

from connectors.sources import kinds
from connectors.sources.config import SourceConfig
from connectors.sources.contract import Opening, Source, SourceError
from connectors.sources.files.config import REPLAYED, ReplayConfig


def open_source(config: SourceConfig, opening: Opening) -> Source:
    """Return the source that `config` describes, not started; SourceError when the embedded engine cannot read it."""
    if config.read_by != "run":
        raise SourceError(f"source {config.name!r} is of kind {config.kind!r}: opportune {config.read_by} reads those")
    known = kinds()
    if config.kind not in known:
        raise SourceError(f"source {config.name!r}: kind={config.kind!r} must be one of {', '.join(known)}")
    source: Source = known[config.kind].open_source(config, opening)
    return source


def replay_config(config: SourceConfig, folder: Path) -> SourceConfig:
    """Return the settings that read a source's replayed lines, put into `folder` by `opportune dead replay`.

    They are read as the source reads its own, rows of columns as the JSON lines that they stand for. A line that came
    twice from senders that repeat themselves is two letters, so ids act once here where they do there.
    """
    pattern = f"*{REPLAYED}"
    changed = {"encoding": config.mapping.line_encoding}
    changed |= {"format": "ndjson"} if config.mapping.is_of_columns else {}
    mapping = config.mapping.model_copy(update=changed)
    return ReplayConfig(
        name=config.name, directory=folder, pattern=pattern, dedupe=config.deduplicated, mapping=mapping
    )
