"""The settings of config.toml: every one with its unit, default and bound.

A setting is declared once, here or in its connector's own config module, and documented where it is declared; the
comments of the shipped config.toml are made from these descriptions (`engine.settings.text`, compared by a test).
Reading a file, and what is wrong with it, is `engine.settings.reading`.

Nothing here touches a socket, a secret or a directory. Secrets are references ({env = ...} or {file = ...}). What needs
the book (does a channel exist?) is checked by `engine.settings.compatibility`.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from connectors import gateways, sources
from connectors.console.config import ConsoleConfig
from connectors.desk.config import DeskConfig
from connectors.gateways.config import GatewayConfig
from connectors.kafka.config import KafkaConfig
from connectors.secret import Secret
from connectors.sources.config import SourceConfig
from engine.settings.numbers import NumbersConfig
from engine.settings.reply_words import OPT_IN_WORDS, OPT_OUT_WORDS
from engine.settings.send_windows import SendWindow

SHIPPED = Path("config.toml")
MIB = 1 << 20
GIB = 1 << 30


class Section(BaseModel):
    """A part of the configuration: unknown names are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """Where everything durable lies, and how the work is split."""

    directory: Annotated[Path, Field(description="Data directory: log, journal, state, dead letters.")] = Path(
        "var/data"
    )
    partitions: Annotated[
        int, Field(ge=1, le=256, description="Partitions of the subscribers; fixed once the directory holds data.")
    ] = 2
    threads: Annotated[int, Field(ge=1, le=64, description="Fold threads; more than partitions are not started.")] = 2
    lateness_s: Annotated[
        int,
        Field(ge=0, le=86_400, description="How long a deadline waits for events that are logged late. Seconds."),
    ] = 10
    clock: Annotated[
        Literal["wall", "events"],
        Field(
            description="What stamps frames and times dispatch: the wall clock, or the events' own time, never going "
            "back, for recorded and generated days. A network in operation says wall."
        ),
    ] = "wall"


class BookConfig(Section):
    """The rule book that decides."""

    folder: Annotated[Path, Field(description="Folder of the book's TOML files.")] = Path("rules/book")
    watch: Annotated[bool, Field(description="Load the book again when a file changes.")] = True
    poll_ms: Annotated[int, Field(ge=50, le=60_000, description="Milliseconds between two looks at the folder.")] = 300


class LogConfig(Section):
    """The log of events and the journal of decisions."""

    segment_bytes: Annotated[int, Field(ge=MIB, le=GIB, description="Bytes of a segment; the first are smaller.")] = (
        64 * MIB
    )
    log_hours_max: Annotated[
        int,
        Field(ge=0, le=87_600, description="Hours that frames are kept when recovery does not need them; 0 forever."),
    ] = 168
    log_bytes_max: Annotated[
        int, Field(ge=0, description="Bytes of log a partition may keep beyond what recovery needs; 0 without bound.")
    ] = 20 * GIB
    journal_hours_max: Annotated[
        int, Field(ge=0, le=87_600, description="Hours that decisions are kept, for why and for reports; 0 forever.")
    ] = 2_160
    journal_bytes_max: Annotated[
        int, Field(ge=0, description="Bytes of journal a partition may keep; 0 without bound.")
    ] = 20 * GIB


class StateConfig(Section):
    """What is remembered of each subscriber, and how much of it in memory."""

    memory_subscribers: Annotated[
        int,
        Field(ge=1_000, le=200_000_000, description="Subscribers in memory; those longest unseen sleep on disk."),
    ] = 2_000_000
    recovery_target_s: Annotated[
        float, Field(gt=0, le=3_600, description="Seconds a start after a crash may take; paces the page sweep.")
    ] = 10.0
    contacts_max: Annotated[
        int, Field(ge=1, le=200, description="Contacts remembered of a subscriber; a cap that needs more says no.")
    ] = 24
    dedupe_window_s: Annotated[
        int, Field(ge=1, le=604_800, description="Seconds in which an event's id acts once.")
    ] = 3_600
    dedupe_ids_max: Annotated[
        int,
        Field(
            ge=1_000,
            le=100_000_000,
            description="Ids remembered for that, per partition; the oldest go first, and status says so.",
        ),
    ] = 1_000_000
    strings_max: Annotated[
        int,
        Field(ge=1_000, le=100_000_000, description="No longer used: texts of any number are kept with what has them."),
    ] = 2_000_000


class Sources(Section):
    """Where events come from: `sources.KIND`, any number of each kind; the kinds are added to it below."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [source.name for source in self.every]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"source name={twice[0]!r} must be used once")
        return self

    @model_validator(mode="after")
    def _agree_within_a_kind(self) -> Self:
        for kind in type(self).model_fields:
            for model in {type(source) for source in getattr(self, kind)}:
                model.check_together(getattr(self, kind))
        return self

    @property
    def every(self) -> tuple[SourceConfig, ...]:
        """All sources, of whatever kind."""
        return tuple(source for kind in type(self).model_fields for source in getattr(self, kind))

    if TYPE_CHECKING:  # the kinds are found when the program runs, where mypy cannot look

        def __getattr__(self, kind: str) -> tuple[Any, ...]: ...


if TYPE_CHECKING:
    SourcesConfig = Sources
    AnyGateway = GatewayConfig
else:
    SourcesConfig = create_model(
        "SourcesConfig",
        __base__=Sources,
        **{kind: (tuple[package.Config, ...], ()) for kind, package in sources.kinds().items()},
    )
    AnyGateway = gateways.settings_type()


class ChannelConfig(Section):
    """How one channel of the book is sent: by which gateway, when, how many, how often tried."""

    gateway: Annotated[str, Field(min_length=1, description="Gateway that sends it, one of [gateways.*].")]
    reroute: Annotated[
        tuple[str, ...], Field(description="Gateways tried in order when the first says that another should.")
    ] = ()
    source_address: Annotated[str, Field(max_length=21, description="Sender shown to the subscriber.")] = ""
    destination: Annotated[
        str,
        Field(
            pattern=r"^([1-9][0-9]{2,14})?$",
            description="Number that the alerts of this channel go to, with the country code; they never go to the "
            "subscriber that they are about. Needed where the gateway sends texts; a spool or a webhook needs none.",
        ),
    ] = ""
    windows: Annotated[
        tuple[SendWindow, ...],
        Field(description='When to send, in the book\'s zone, as "mon-fri 08:00-21:00"; none: always.'),
    ] = ()
    quota_per_day: Annotated[
        int,
        Field(
            ge=0,
            description="Messages on the air a calendar day, all subscribers together: every part of a long text "
            "counts, a card counts one; 0 without bound.",
        ),
    ] = 0
    rate_per_s: Annotated[
        float,
        Field(gt=0, le=1_000_000, description="Messages on the air a second; every part of a long text counts."),
    ] = 50.0
    attempts_max: Annotated[int, Field(ge=1, le=100, description="Tries until a send that may be retried fails.")] = 5
    retry_ms_min: Annotated[int, Field(ge=10, le=3_600_000, description="First wait before a retry; milliseconds.")] = (
        2_000
    )
    retry_ms_max: Annotated[int, Field(ge=10, le=86_400_000, description="Longest wait before a retry.")] = 300_000

    @model_validator(mode="after")
    def _waits_in_order(self) -> Self:
        if self.retry_ms_max < self.retry_ms_min:
            raise ValueError(f"retry_ms_max={self.retry_ms_max} must be >= retry_ms_min={self.retry_ms_min}")
        return self


ReplyWord = Annotated[str, Field(min_length=1, max_length=40)]


class DispatchConfig(Section):
    """Between journal and doors."""

    queue_max: Annotated[
        int, Field(ge=100, le=10_000_000, description="Sends waiting in memory; the rest waits in the journal.")
    ] = 100_000
    in_flight_max: Annotated[
        int, Field(ge=1, le=100_000, description="Sends handed to gateways and not answered yet.")
    ] = 1_000
    drain_wait_s: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            description="Seconds without any send or answer after which `run --drain` ends; what waits then is sent by "
            "the next run.",
        ),
    ] = 30.0
    optout_words: Annotated[
        tuple[ReplyWord, ...],
        Field(
            description="Replies that mean no more texts, in any case and width. One letter or only digits count as "
            "the whole reply; longer words also with words around."
        ),
    ] = OPT_OUT_WORDS
    optout_confirmation: Annotated[
        str,
        Field(
            max_length=500,
            description="Text that confirms an opt-out by reply, sent once, as a service message; empty: none is sent.",
        ),
    ] = ""
    optin_words: Annotated[
        tuple[ReplyWord, ...], Field(description="Whole replies that mean texts again, after an opt-out.")
    ] = OPT_IN_WORDS
    test_numbers: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=20)], ...],
        Field(description="Numbers of your own that `opportune trial RULE --to NUMBER` may write to, and no others."),
    ] = ()


class HttpFrontConfig(Section):
    """The HTTP front: events, desk, status, metrics, pause and kill."""

    enabled: Annotated[bool, Field(description="Whether it listens.")] = True
    host: Annotated[str, Field(description="Address to listen on; only this machine unless changed.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")] = 8_080
    connections_max: Annotated[
        int, Field(ge=1, le=65_536, description="Connections at a time; more wait to be accepted.")
    ] = 512
    idle_s: Annotated[
        float,
        Field(ge=1, le=86_400, description="Seconds a connection may be open without a request under way."),
    ] = 60.0
    token: Annotated[
        Secret | None,
        Field(
            description="Bearer token for pause, resume, kill and lists. Without it only this machine may ask. "
            "At least 16 bytes where other machines reach the front."
        ),
    ] = None
    certificate_file: Annotated[
        Path | None, Field(description="Certificate of the front, in PEM, to speak HTTPS; needs key_file.")
    ] = None
    key_file: Annotated[Path | None, Field(description="Key of the certificate, in PEM, without a password.")] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Field(
            description="Addresses or networks of proxies before the front, whose X-Forwarded-For and "
            "X-Forwarded-Proto are believed."
        ),
    ] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        for proxy in self.trusted_proxies:
            try:
                ip_network(proxy)
            except ValueError as fault:
                raise ValueError(f"trusted_proxies={proxy!r} must be an address or a network: {fault}") from fault
        return self

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """Certificate and key; None where the front speaks plain HTTP."""
        if self.certificate_file is None or self.key_file is None:
            return None
        return self.certificate_file, self.key_file


class MetricsConfig(Section):
    """What is counted and shown."""

    enabled: Annotated[bool, Field(description="Serve /metrics for Prometheus.")] = True
    rules_max: Annotated[
        int, Field(ge=1, le=100_000, description="Rules with a series of their own; the rest is counted as other.")
    ] = 1_000
    status_ms: Annotated[int, Field(ge=50, le=60_000, description="Milliseconds between two figures of `status`.")] = (
        1_000
    )


class LimitsConfig(Section):
    """Bounds of the flow inside the process."""

    batch_events_max: Annotated[
        int, Field(ge=64, le=1 << 20, description="Events folded at a time: larger is cheaper, smaller is sooner.")
    ] = 16_384
    intake_bytes_max: Annotated[
        int, Field(ge=MIB, le=16 * GIB, description="Bytes offered and not yet in the log; above it sources wait.")
    ] = 64 * MIB
    dead_letters_bytes_max: Annotated[
        int, Field(ge=MIB, description="Bytes of dead letters kept; the oldest go first.")
    ] = GIB


AgentName = Literal["intake", "decide", "dispatch"]


class ClusterConfig(KafkaConfig):
    """Kafka, for `opportune worker` and `opportune topics`; `opportune run` needs none of it."""

    prefix: Annotated[
        str,
        Field(description="What the names of our topics and groups begin with.", pattern=r"^[A-Za-z0-9._-]{0,100}$"),
    ] = "opportune."
    replicas: Annotated[int, Field(ge=1, le=16, description="Copies of each topic; 1 loses data with a disk.")] = 3
    agents: Annotated[
        tuple[AgentName, ...],
        Field(min_length=1, description="What a worker does: intake packs raw topics, decide decides, dispatch sends."),
    ] = ("intake", "decide", "dispatch")
    session_timeout_ms: Annotated[
        int, Field(ge=1_000, le=60_000, description="Silence after which a worker counts as dead; milliseconds.")
    ] = 6_000
    standby_copies: Annotated[
        int,
        Field(ge=0, le=8, description="Other workers that keep a copy of a partition's pages, to take over sooner."),
    ] = 0
    intake_wait_ms: Annotated[
        int,
        Field(
            ge=1,
            le=1_000,
            description="Milliseconds that raw records are collected at least, where few come, before they are packed.",
        ),
    ] = 5
    intake_records_max: Annotated[
        int, Field(ge=64, le=1 << 20, description="Records of one raw partition that are packed at a time.")
    ] = 32_768
    missing_frames: Annotated[
        Literal["hold", "skip"],
        Field(
            description="What becomes of a partition whose log has lost frames that it still needs: hold leaves it "
            "undecided; skip goes on without them, and features and caps do not know what they held."
        ),
    ] = "hold"
    silent_s: Annotated[
        float, Field(ge=5, le=86_400, description="Seconds without progress, with frames waiting, until a worker ends.")
    ] = 60.0


class Config(Section):
    """Everything that can be set. Sections that are left out take their defaults."""

    data: DataConfig = DataConfig()
    book: BookConfig = BookConfig()
    log: LogConfig = LogConfig()
    state: StateConfig = StateConfig()
    limits: LimitsConfig = LimitsConfig()
    sources: SourcesConfig = SourcesConfig()
    numbers: NumbersConfig = NumbersConfig()
    gateways: Annotated[dict[str, AnyGateway], Field(description="Gateways by name.")] = {}
    channels: Annotated[dict[str, ChannelConfig], Field(description="Sending of the book's channels, by name.")] = {}
    dispatch: DispatchConfig = DispatchConfig()
    desk: DeskConfig = DeskConfig()
    http: HttpFrontConfig = HttpFrontConfig()
    console: ConsoleConfig = ConsoleConfig()
    metrics: MetricsConfig = MetricsConfig()
    cluster: ClusterConfig = ClusterConfig()
