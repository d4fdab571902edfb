"""The HTTP face of an embedded engine: what both runtimes serve, and events, trials, replayed letters, the console."""

from collections.abc import Sequence
from pathlib import Path

from connectors.desk.desk import Desk
from connectors.sources.contract import ServedSource, Source
from engine.flow.core import Core
from engine.runtimes.console import ConsoleAnswers
from engine.runtimes.operations import LocalOperations
from engine.runtimes.trial import add_trials
from engine.serve.acts import of_replayed
from engine.serve.controls import ReplayedBody
from engine.serve.face import Face
from engine.serve.front import BODY_BYTES_MAX
from engine.settings.config import Config


def make_face(
    config: Config,
    file: Path | None,
    core: Core,
    operations: LocalOperations,
    desk: Desk | None,
    sources: Sequence[Source],
) -> Face:
    """Return a face that serves `sources` as far as they are served; its `open` begins.

    `file`: where the settings were read; without it there is no console.
    """
    served = [source for source in sources if isinstance(source, ServedSource)]
    body_max = max((source.body_bytes_max for source in served), default=BODY_BYTES_MAX)
    console = None
    if config.console.users and file is not None:
        console = ConsoleAnswers(config, file, operations, core.shelf)
    face = Face(config, operations, core.metrics, desk, core.datadir.address, body_max, console)
    if console is not None:
        face.front.around(console.sampling)
    add_trials(face.front, config, operations, operations.gateways, core.datadir.trials, operations.now_ms)
    face.front.write("/dead/replayed", ReplayedBody, operations.replayed, of_replayed)
    for source in served:
        face.front.app.router.add_routes(source.routes())
    return face
