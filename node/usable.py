"""Whether a node can go by a settings file: what is looked at before one is taken up or activated."""

from collections.abc import Iterator
from pathlib import Path

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.errors import AiError
from config.errors import SettingsError
from config.settings import Settings, environment, settings_of
from config.source import Location, Source
from node.check import check_profile, check_rules, check_tls
from node.check_peers import CheckResult
from node.errors import TlsError
from node.model import STAND_IN
from node.options import options_of
from node.tls import client_context, server_context

UNEXPLAINED = "names a file that this node cannot use: `paxnode config check` on its machine says why"
"""What is told of every file alike: that it is not there, not to be read, or another thing."""


def usable(source: Source, *, with_model: bool = True, explains: bool = True) -> Settings:
    """Return settings that a node can go by: everything that they name on this machine is there and good.

    A destination that does not answer, or a certificate that has expired, does not make a file unusable.

    Args:
        source: The text.
        with_model: Whether the model bundle is looked at; a process that does not work needs none.
        explains: Whether errors tell what is wrong with a file that the text names. Not to whoever asks from
            elsewhere: they would learn which files there are on this machine, and what stands in some.

    Raises:
        SettingsError: It cannot be used; the message names file, line and key.
    """
    settings = settings_of(source)
    _check_profiles(settings, source)
    for location, error in _unusable_files(settings, with_model=with_model):
        why = str(error) if explains else f"{str(location[-1])!r} {UNEXPLAINED}"
        raise SettingsError(f"{source.place(location)}: {why}") from error
    return settings


def _unusable_files(settings: Settings, *, with_model: bool) -> Iterator[tuple[Location, Exception]]:
    """Yield each file that settings name and that cannot be used: where it is named, and why."""
    tls = settings.tls
    if tls.certificate or tls.authorities:
        try:
            client_context(tls)
            if tls.certificate:
                server_context(tls)
        except TlsError as error:
            yield ("tls", "certificate" if tls.certificate else "authorities"), error
    if not with_model:
        return
    bundles: list[tuple[Location, str]] = [(("model", "bundle"), settings.model.bundle)]
    rules = enumerate(settings.rule)
    bundles += [(("rule", number, "model"), rule.model) for number, rule in rules if rule.model]
    for location, bundle in bundles:
        try:
            _bundle(bundle)
        except AiError as error:
            yield location, error


def check_file(path: Path) -> Iterator[CheckResult]:
    """Yield what can be said of a settings file alone; nothing is called, and nothing is made.

    The first result says whether a node would take it up; there are no others if not.
    """
    try:
        settings = usable(Source.read(path, environment()))
    except SettingsError as error:
        yield CheckResult("settings", False, str(error))
        return
    yield CheckResult("settings", True, f"read; AE title {settings.node.ae_title}")
    if settings.rule:
        yield check_rules(settings)
    bundle = _bundle(settings.model.bundle)
    words = (
        f"{bundle.identity.id} {bundle.identity.version}" if bundle else "the stand-in, never for patients"
    )
    yield CheckResult("model", True, words)
    if settings.tls.certificate:
        yield check_tls(settings.tls)
    if not settings.destinations:
        yield CheckResult("destinations", True, "none: results stay in the data folder")
    for destination in settings.destinations:
        yield check_profile(settings, destination)


def _check_profiles(settings: Settings, source: Source) -> None:
    """Raise SettingsError for a profile whose structures are not known."""
    places: dict[str, Location] = {
        profile.name: ("profile", number, "structures") for number, profile in enumerate(settings.profile)
    }
    for profile in settings.profiles.values():
        try:
            options_of(profile, settings.results)
        except AiError as error:
            place = source.place(places.get(profile.name, ("results", "profile")))
            raise SettingsError(f"{place}: {error}") from error


def _bundle(named: str) -> Bundle | None:
    """Return a model bundle, read and compared with its digests; None for the stand-in. "": the default."""
    if named == STAND_IN:
        return None
    return Bundle.load(Path(named) if named else DEFAULT_BUNDLE)
