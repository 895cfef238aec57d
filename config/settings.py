"""The settings of a node: read once from a TOML file and the environment, checked, frozen, passed in.

`node.toml` beside this module describes each one for the person who edits them, and holds the defaults.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as VariableError

from config.errors import SettingsError as SettingsError
from config.network import AnyDestination as AnyDestination
from config.network import (
    AuditSettings,
    CommitmentSettings,
    ConsoleSettings,
    RetentionSettings,
    TlsSettings,
    WebSettings,
)
from config.network import DeliverySettings as DeliverySettings
from config.network import Destination as Destination
from config.network import NodeSettings as NodeSettings
from config.network import Peer as Peer
from config.network import WebDestination as WebDestination
from config.profiles import Profile, completed, shipped_profiles, unknown
from config.rule_names import problems
from config.rules import RETURN_PREFIX, SENDER, ReturnDestination, RoutingSettings, Rule, names_differ
from config.section import Section
from config.source import Location, Source, first_problem
from config.values import Seconds, UidRoot, Whole

DEFAULT_FILE = Path(__file__).with_name("node.toml")
"""The commented file that holds every default."""

ENVIRONMENT_PREFIX = "PAXNODE_"
"""PAXNODE_NODE__PORT=104 overrides `port` in `[node]`."""


class DatabaseSettings(Section):
    """`[database]`: where jobs and deliveries are kept."""

    url: SecretStr = SecretStr("")


class ModelSettings(Section):
    """`[model]`: which weights segment, on how many threads, and how many images together."""

    bundle: str = ""
    threads: Annotated[Whole, Field(ge=0, le=1024)] = 0
    batch: Annotated[Whole, Field(ge=0, le=16)] = 0


class WorkerSettings(Section):
    """`[worker]`: how jobs are worked on."""

    count: Annotated[Whole, Field(ge=1, le=64)] = 1
    lease_s: Annotated[Seconds, Field(ge=5)] = 120.0
    max_attempts: Annotated[Whole, Field(ge=1, le=100)] = 5


class ResultSettings(Section):
    """`[results]`: how objects are marked, and the profile of whoever names none."""

    profile: str = "standard"
    series_number_base: Annotated[Whole, Field(ge=1, le=2_000_000_000)] = 9000
    content_qualification: Literal["RESEARCH", "PRODUCT", "SERVICE"] = "RESEARCH"
    uid_root: UidRoot = ""


class AppearanceSettings(Section):
    """`[appearance]`: what is done about a picture that does not look like an upright frontal chest."""

    inverted: Literal["correct", "refuse", "note", "ignore"] = "correct"
    turned: Literal["correct", "refuse", "note", "ignore"] = "correct"
    mirrored: Literal["correct", "refuse", "note", "ignore"] = "refuse"
    lateral: Literal["refuse", "ignore"] = "refuse"
    not_chest: Literal["refuse", "ignore"] = "refuse"

    @field_validator("mirrored")
    @classmethod
    def _is_not_corrected_alone(cls, value: str, info: ValidationInfo) -> str:
        turned = info.data.get("turned", "correct")
        if value == "correct" and turned in {"note", "ignore"}:
            raise ValueError(f'a mirror is corrected only where turns are, found turned = "{turned}"')
        return value


class LoggingSettings(Section):
    """`[logging]`: what is written to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class Settings(BaseSettings):
    """Everything that can be set. Frozen; the database URL prints as stars."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    node: NodeSettings = NodeSettings()
    database: DatabaseSettings = DatabaseSettings()
    model: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    profile: tuple[Profile, ...] = ()
    results: ResultSettings = ResultSettings()
    appearance: AppearanceSettings = AppearanceSettings()
    tls: TlsSettings = TlsSettings()
    peer: tuple[Peer, ...] = ()
    destination: tuple[Destination, ...] = ()
    web_destination: tuple[WebDestination, ...] = ()
    rule: tuple[Rule, ...] = ()
    routing: RoutingSettings = RoutingSettings()
    delivery: DeliverySettings = DeliverySettings()
    commitment: CommitmentSettings = CommitmentSettings()
    retention: RetentionSettings = RetentionSettings()
    audit: AuditSettings = AuditSettings()
    web: WebSettings = WebSettings()
    console: ConsoleSettings = ConsoleSettings()
    logging: LoggingSettings = LoggingSettings()

    @property
    def destinations(self) -> tuple[AnyDestination, ...]:
        """Every `[[destination]]`, then every `[[web_destination]]`, in the order of the file."""
        return (*self.destination, *self.web_destination)

    @property
    def returns(self) -> tuple[Destination, ...]:
        """Every `[[peer]]` as a destination of its own, where a rule sends results back to senders."""
        if not any(SENDER in rule.destinations for rule in self.rule):
            return ()
        peers = {peer.ae_title: peer for peer in reversed(self.peer)}  # the first of a title counts
        return tuple(
            ReturnDestination(name=f"{RETURN_PREFIX}{title}", **peer.model_dump())
            for title, peer in sorted(peers.items())
        )

    @property
    def every_destination(self) -> tuple[AnyDestination, ...]:
        """All that results may go to: `destinations`, then `returns`."""
        return (*self.destinations, *self.returns)

    @property
    def profiles(self) -> dict[str, Profile]:
        """Every profile by name: those that come with the program, then every `[[profile]]`."""
        return {**shipped_profiles(), **{profile.name: profile for profile in self.profile}}

    def profile_named(self, name: str) -> Profile:
        """Return the profile of that name; "" is the one in `[results]`.

        Raises:
            SettingsError: There is none.
        """
        found = self.profiles.get(name or self.results.profile)
        if found is None:
            raise SettingsError(f"'profile' {unknown(name, self.profiles)}")
        return found

    @field_validator("profile", mode="before")
    @classmethod
    def _are_completed(cls, value: object) -> object:
        tables = isinstance(value, list | tuple) and all(isinstance(table, dict) for table in value)
        return completed(value) if tables else value  # type: ignore[arg-type]

    @field_validator("destination", "web_destination")
    @classmethod
    def _names_differ(
        cls, value: tuple[AnyDestination, ...], info: ValidationInfo
    ) -> tuple[AnyDestination, ...]:
        others = info.data.get("destination", ()) if info.field_name == "web_destination" else ()
        names = [destination.name for destination in (*others, *value)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"must each have a name of their own, found twice: {', '.join(twice)}")
        return value

    @field_validator("rule")
    @classmethod
    def _rules_differ(cls, value: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return names_differ(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, and nothing else have a say."""
        return env_settings, init_settings


def load_settings(path: Path | None = None) -> Settings:
    """Return the settings in a TOML file, overridden by the environment.

    Args:
        path: The file; None reads the packaged one, which holds the defaults.

    Raises:
        SettingsError: Something cannot be read, is not known, or has a value that is not allowed. The message
            names the file and line (or the environment variable), the key, the rule and what was found.
    """
    return settings_of(Source.read(path or DEFAULT_FILE, environment()))


def settings_of(source: Source) -> Settings:
    """Return the settings in a text that was read already; errors as in `load_settings`."""
    source.check_keys(_known_keys())
    try:
        settings = Settings(**source.content)
    except ValidationError as error:
        raise SettingsError(first_problem(error, source)) from None  # its chain would show secret values
    except VariableError:
        raise SettingsError(
            'environment variables of lists must be JSON, such as ["A", "B"]: '
            + ", ".join(sorted(source.environment))
        ) from None
    _check_profiles(settings, source)
    for problem in problems(settings):
        raise SettingsError(f"{source.place(problem.location)}: {problem.words}")
    return settings


def _check_profiles(settings: Settings, source: Source) -> None:
    """Raise SettingsError for the first place that names a profile which is not there."""
    named: list[tuple[Location, str]] = [(("results", "profile"), settings.results.profile)]
    for table in ("destination", "web_destination"):
        named += [((table, n, "profile"), place.profile) for n, place in enumerate(getattr(settings, table))]
    for location, name in named:
        if name and name not in settings.profiles:
            words = f"'profile' in [{location[0]}] {unknown(name, settings.profiles)}"
            raise SettingsError(f"{source.place(location)}: {words}")


def _known_keys() -> dict[str, list[str]]:
    sections: dict[str, type[BaseModel]] = {
        "node": NodeSettings,
        "database": DatabaseSettings,
        "model": ModelSettings,
        "worker": WorkerSettings,
        "profile": Profile,
        "results": ResultSettings,
        "appearance": AppearanceSettings,
        "tls": TlsSettings,
        "peer": Peer,
        "destination": Destination,
        "web_destination": WebDestination,
        "rule": Rule,
        "routing": RoutingSettings,
        "delivery": DeliverySettings,
        "commitment": CommitmentSettings,
        "retention": RetentionSettings,
        "audit": AuditSettings,
        "web": WebSettings,
        "console": ConsoleSettings,
        "logging": LoggingSettings,
    }
    return {name: list(section.model_fields) for name, section in sections.items()}


def environment() -> Mapping[str, str]:
    """Return the environment variables that override a settings file."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(ENVIRONMENT_PREFIX)}


def sudo_user() -> str:
    """Return who became another user by sudo; empty: nobody, or it is not known."""
    return os.environ.get("SUDO_USER", "")
