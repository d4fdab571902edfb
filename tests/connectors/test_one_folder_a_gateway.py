"""A gateway is one folder: written here, it is accepted, opened and sent through, and nothing else was touched."""

from pathlib import Path

from tests.connectors.added_folder import add_kind, run_with
from tests.engine.world import BASE_MS, call, config, joined

PIGEON = {
    "__init__.py": '''
"""Pigeons: every message is one file in a loft."""

from connectors.gateways.pigeon.client import PigeonGateway as Gateway
from connectors.gateways.pigeon.config import PigeonConfig as Config

__all__ = ["Config", "Gateway"]
''',
    "config.py": '''
"""Settings of a loft."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from connectors.gateways.config import GatewayConfig


class PigeonConfig(GatewayConfig):
    """A loft from which pigeons fly."""

    example_name: ClassVar = "loft"
    example: ClassVar = {"kind": "pigeon", "loft": "var/loft"}

    kind: Annotated[Literal["pigeon"], Field(description="Messages as pigeons.")]
    loft: Annotated[Path, Field(description="Folder where messages land.")]
''',
    "client.py": '''
"""The gateway: one file a message."""

from connectors.contract import Message, NowMs, OnMobileOriginated, OnReceipt, Outcome, State
from connectors.gateways.pigeon.config import PigeonConfig


class PigeonGateway:
    """A `connectors.contract.Gateway`."""

    def __init__(self, name: str, config: PigeonConfig, now_ms: NowMs) -> None:
        self.name = name
        self.up = False
        self._loft = config.loft

    def room(self) -> int:
        return 8

    async def start(self, on_receipt: OnReceipt, on_mo: OnMobileOriginated) -> None:
        self._loft.mkdir()
        self.up = True

    async def send(self, message: Message) -> Outcome:
        (self._loft / f"{message.destination}.txt").write_text(message.text)
        return Outcome(State.ACCEPTED)

    async def stop(self) -> None:
        self.up = False

    def status(self) -> dict[str, int | str]:
        return {"links": 1, "links_up": int(self.up), "in_flight": 0}
''',
}
LOFT = """
[gateways.loft]
kind = "pigeon"
loft = "loft"
[channels.sms]
gateway = "loft"
"""


def test_a_gateway_of_one_folder_is_sent_through(tmp_path: Path) -> None:
    add_kind(tmp_path / "listing", "pigeon", PIGEON)
    home = tmp_path / "home"
    (home / "inbox").mkdir(parents=True)
    (home / "inbox" / "day.ndjson").write_bytes(joined(call(8613800000000 + n, BASE_MS + n * 1000) for n in range(3)))

    done = run_with("connectors.gateways", tmp_path / "listing", home, config(more=LOFT), "run", "--drain")

    assert done.returncode == 0, done.stderr
    landed = sorted(path.name for path in (home / "loft").iterdir())
    assert landed == [f"{8613800000000 + n}.txt" for n in range(3)]
    assert not (home / "spool" / "out.ndjson").exists() or not (home / "spool" / "out.ndjson").read_bytes()


def test_settings_of_a_gateway_of_one_folder_are_checked_like_any_other(tmp_path: Path) -> None:
    add_kind(tmp_path / "listing", "pigeon", PIGEON)
    wrong = config(more=LOFT.replace("loft =", "lofts ="))

    done = run_with("connectors.gateways", tmp_path / "listing", tmp_path / "home", wrong, "check")

    assert done.returncode != 0
    assert "gateways.loft.lofts is no setting; did you mean `loft`?" in done.stderr + done.stdout


def test_without_its_folder_the_kind_is_refused_and_the_known_ones_named(tmp_path: Path) -> None:
    (tmp_path / "listing").mkdir()

    done = run_with("connectors.gateways", tmp_path / "listing", tmp_path / "home", config(more=LOFT), "check")

    said = done.stderr + done.stdout
    assert done.returncode != 0
    assert "'pigeon'" in said
    assert "'smpp'" in said
    assert "'spool'" in said
