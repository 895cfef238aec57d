"""The settings of everything that other machines are reached by, or reach the node by."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from config.profiles import NAME
from config.section import Section
from config.values import Addresses, AeTitle, Port, Seconds, Whole


class NodeSettings(Section):
    """`[node]`: how the node is reached, and where it keeps things."""

    ae_title: AeTitle = "PAXNODE"
    host: str = "0.0.0.0"
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 11112
    data_dir: Path = Path("./paxnode-data")
    called_ae_titles: tuple[AeTitle, ...] = ()
    calling_ae_titles: tuple[AeTitle, ...] = ()
    calling_addresses: tuple[Addresses, ...] = ()
    urgent_ae_titles: tuple[AeTitle, ...] = ()
    max_associations: Annotated[Whole, Field(ge=1, le=1000)] = 25
    max_pdu: Annotated[Whole, Field(ge=4096, le=1_048_576)] = 131_072
    network_timeout_s: Seconds = 60.0
    max_object_bytes: Annotated[Whole, Field(ge=1_048_576)] = 2_147_483_648
    disk_reserve_mb: Annotated[Whole, Field(ge=0)] = 1024


class TlsSettings(Section):
    """`[tls]`: DICOM over TLS (PS3.15 B.12), for those that connect and for destinations."""

    certificate: str = ""
    key: str = ""
    authorities: str = ""
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 2762
    only: bool = False
    client_certificates: Literal["required", "none"] = "required"
    client_fingerprints: tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...] = ()
    handshake_timeout_s: Seconds = 10.0

    @model_validator(mode="after")
    def _is_complete(self) -> "TlsSettings":
        if bool(self.certificate) != bool(self.key):
            raise ValueError("'certificate' and 'key' must both be given, or neither")
        if self.only and not self.certificate:
            raise ValueError("'only' needs a certificate and a key")
        if self.certificate and self.client_certificates == "required" and not self.authorities:
            rule = "'authorities' must name those who sign the certificates of peers"
            raise ValueError(f'{rule}, or client_certificates be "none"')
        if self.client_fingerprints and self.client_certificates == "none":
            raise ValueError("'client_fingerprints' needs client_certificates = \"required\"")
        return self


class Peer(Section):
    """`[[peer]]`: where an AE title is reached; for results that go back to who sent, and for commitments."""

    ae_title: AeTitle
    host: Annotated[str, Field(min_length=1)]
    port: Port
    tls: bool = False


class Receiver(Section):
    """What every destination has, however it is reached."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
    profile: str = ""
    timeout_s: Seconds = 30.0
    objects_per_minute: Annotated[Whole, Field(ge=0, le=1_000_000)] = 0
    query: bool = False
    proof_timeout_s: Seconds = 3600.0


class Destination(Receiver):
    """`[[destination]]`: an archive that gets every result by C-STORE."""

    ae_title: AeTitle
    host: Annotated[str, Field(min_length=1)]
    port: Port
    tls: bool = False
    commitment: bool = False


class WebDestination(Receiver):
    """`[[web_destination]]`: an archive that gets every result by STOW-RS (PS3.18 10.5)."""

    url: Annotated[str, Field(pattern="^https?://[^/]")]
    user: str = ""
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    authorities: str = ""

    @field_validator("url")
    @classmethod
    def _is_only_a_place(cls, value: str) -> str:
        parts = urlsplit(value)
        if "@" in parts.netloc:
            raise ValueError("must hold no user and no password: 'user', 'password' and 'token' are for them")
        if parts.query or parts.fragment or not parts.hostname:
            raise ValueError("must be scheme, host and path, without '?' and '#'")
        return value.rstrip("/")

    @field_validator("password", "token")
    @classmethod
    def _can_stand_in_a_header(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().isprintable():
            raise ValueError("must hold no control characters and no line ends")
        return value

    @model_validator(mode="after")
    def _names_itself_one_way(self) -> "WebDestination":
        if self.token.get_secret_value() and self.user:
            raise ValueError("'user' is for basic authentication and 'token' for the other: only one of them")
        if self.password.get_secret_value() and not self.user:
            raise ValueError("'password' needs a 'user'")
        return self


class DeliverySettings(Section):
    """`[delivery]`: how often a destination is tried."""

    first_retry_s: Seconds = 5.0
    longest_retry_s: Seconds = 600.0
    breaker_failures: Annotated[Whole, Field(ge=1, le=1000)] = 5

    @field_validator("longest_retry_s")
    @classmethod
    def _is_not_the_shorter(cls, value: float, info: ValidationInfo) -> float:
        first = info.data.get("first_retry_s", 0.0)
        if value < first:
            raise ValueError(f"must be at least first_retry_s ({first:g}), found {value:g}")
        return value


class CommitmentSettings(Section):
    """`[commitment]`: storage commitment of what the node received, for those that ask (PS3.4 J)."""

    answer: bool = False


class AuditSettings(Section):
    """`[audit]`: audit messages (PS3.15 A.5) to a syslog server."""

    host: str = ""
    port: Port = 514
    protocol: Literal["udp", "tls"] = "udp"
    site: str = ""


class WebSettings(Section):
    """`[web]`: health and metrics over HTTP, for whoever watches the node, and the console."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 11180
    trusted_proxies: tuple[Addresses, ...] = ()


class ConsoleSettings(Section):
    """`[console]`: the web console, on the address and port of `[web]`."""

    enabled: bool = True
    idle_minutes: Annotated[Whole, Field(ge=1, le=1440)] = 30
    session_hours: Annotated[Whole, Field(ge=1, le=168)] = 12
    allow_http: bool = False


class RetentionSettings(Section):
    """`[retention]`: when files and rows are removed; 0 keeps for ever. Never before a result's proof."""

    files_days: Annotated[Whole, Field(ge=0, le=36_500)] = 0
    refused_days: Annotated[Whole, Field(ge=0, le=36_500)] = 0
    rows_days: Annotated[Whole, Field(ge=0, le=36_500)] = 0
    disk_warning_mb: Annotated[Whole, Field(ge=0)] = 4096
    every_s: Seconds = 600.0

    @model_validator(mode="after")
    def _rows_outlive_files(self) -> "RetentionSettings":
        least = max(self.files_days, self.refused_days)
        if 0 < self.rows_days < least:
            rule = f"'rows_days' must be 0, or at least files_days and refused_days ({least})"
            raise ValueError(f"{rule}, found {self.rows_days}")
        return self


AnyDestination = Destination | WebDestination
