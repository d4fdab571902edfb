"""Settings of a connection to Kafka: addresses, TLS, SASL. Nothing here opens a socket or reads a secret."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.secret import Secret


class KafkaConfig(BaseModel):
    """How every worker reaches the brokers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap: Annotated[
        tuple[str, ...], Field(description="Brokers to ask first, as host:port; one that answers is enough.")
    ] = ("127.0.0.1:9092",)
    tls: Annotated[bool, Field(description="Speak TLS with the brokers, and check their certificates.")] = False
    ca_file: Annotated[
        str, Field(description="Certificates to trust, an absolute path; empty: the system's. Needs tls = true.")
    ] = ""
    certificate_file: Annotated[
        str, Field(description="Our own certificate, where the brokers ask for one, an absolute path; needs key_file.")
    ] = ""
    key_file: Annotated[str, Field(description="The key of our certificate, an absolute path.")] = ""
    sasl: Annotated[
        Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Field(description="How to log in to the brokers; empty: not at all."),
    ] = ""
    user: Annotated[str, Field(description="Name to log in with.")] = ""
    password: Annotated[Secret | None, Field(description="Password to log in with.")] = None

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        for address in self.bootstrap:
            host, _, port = address.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65_536:
                raise ValueError(f"bootstrap={address!r} must be host:port")
        if not self.bootstrap:
            raise ValueError("bootstrap=[] must name a broker")
        if not self.tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ValueError("ca_file, certificate_file and key_file need tls=true")
        for name in ("ca_file", "certificate_file", "key_file"):
            path = getattr(self, name)
            if path and not Path(path).is_absolute():
                raise ValueError(f"{name}={path!r} must be an absolute path")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file belong together")
        if self.sasl and (not self.user or self.password is None):
            raise ValueError(f"sasl={self.sasl!r} needs user and password")
        if not self.sasl and (self.user or self.password is not None):
            raise ValueError("user and password need sasl")
        return self
