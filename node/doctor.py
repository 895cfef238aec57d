"""The doctor: this node and everybody it reaches, tried step by step: `paxnode doctor`.

It works beside a running node and without one; nothing is stored, made or changed, here or there.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from ai.errors import AiError
from config.errors import SettingsError
from config.settings import AnyDestination, Destination, Peer, Settings, WebDestination
from node.check_peers import classes_of, unheard, wanted_of
from node.doctor_dicom import STEP_TIMEOUT_S, DicomExamination, Wanted
from node.doctor_node import UNTOLD, NodeExamination, Told
from node.doctor_steps import Examination, Step, StepState, Subject
from node.doctor_web import WebExamination
from node.options import options_of
from node.transcode import SYNTAXES
from node.web_client import web_peer

NODE = "node"
"""What this node itself is called among the names that may be asked for."""


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found."""

    examinations: tuple[Examination, ...]

    @property
    def passed(self) -> bool:
        """Whether no step of any examination failed."""
        return all(each.passed for each in self.examinations)

    def as_json(self) -> str:
        """Return it as JSON, for programs."""
        found: list[dict[str, Any]] = [asdict(each) | {"passed": each.passed} for each in self.examinations]
        return json.dumps({"passed": self.passed, "examinations": found}, indent=2)


def names_of(settings: Settings) -> tuple[str, ...]:
    """Return what may be asked for: this node, destinations by name, peers by AE title."""
    destinations = (each.name for each in settings.destinations)
    return tuple(dict.fromkeys((NODE, *destinations, *(peer.ae_title for peer in settings.peer))))


def diagnosis(settings: Settings, names: Collection[str] = (), told: Told = UNTOLD) -> Diagnosis:
    """Return what the doctor finds.

    Args:
        settings: What the admin wants.
        names: Only these; empty: everything.
        told: Where the settings come from.

    Raises:
        SettingsError: A name is none of `names_of`.
    """
    return Diagnosis(tuple(examinations(settings, names, told)))


def examinations(
    settings: Settings, names: Collection[str] = (), told: Told = UNTOLD
) -> Iterator[Examination]:
    """Yield each examination as soon as it is done; arguments and errors as in `diagnosis`."""
    _check_names(names, names_of(settings))
    if not names or NODE in names:
        yield examine_node(settings, told)
    for destination in settings.destinations:
        if not names or destination.name in names:
            yield examine_destination(settings, destination)
    for peer in settings.peer:
        if not names or peer.ae_title in names:
            yield examine_peer(settings, peer)


def examine_node(settings: Settings, told: Told = UNTOLD) -> Examination:
    """Look at this node."""
    steps = NodeExamination(settings, told).steps()
    place = f"{settings.node.ae_title} at {settings.node.host}:{settings.node.port}"
    return Examination(Subject.NODE, NODE, place, steps)


def examine_destination(settings: Settings, destination: AnyDestination) -> Examination:
    """Look at a destination, with what its profile makes."""
    if isinstance(destination, WebDestination):
        steps = WebExamination(destination, settings.tls, STEP_TIMEOUT_S).steps()
        return Examination(Subject.WEB_DESTINATION, destination.name, web_peer(destination), steps)
    looked = DicomExamination(
        settings.node.ae_title, destination, settings.tls, _wanted(settings, destination)
    )
    steps = (*_profile(settings, destination), *looked.steps())
    return Examination(Subject.DESTINATION, destination.name, looked.peer, steps)


def examine_peer(settings: Settings, peer: Peer) -> Examination:
    """Look at a peer: it must be reached where the node answers its requests for storage commitment."""
    wanted = Wanted(is_told=settings.commitment.answer)
    looked = DicomExamination(settings.node.ae_title, peer, settings.tls, wanted)
    return Examination(Subject.PEER, peer.ae_title, looked.peer, looked.steps())


def _wanted(settings: Settings, destination: Destination) -> Wanted:
    profile = settings.profile_named(destination.profile)
    try:
        sop_classes = classes_of(options_of(profile, settings.results))
    except AiError:  # `_profile` tells
        sop_classes = ()
    return wanted_of(destination, sop_classes, [SYNTAXES[word] for word in profile.transfer_syntaxes])


def _profile(settings: Settings, destination: Destination) -> Iterator[Step]:
    """Yield a failed step where the settings themselves keep a destination from working."""
    try:
        options_of(settings.profile_named(destination.profile), settings.results)
    except AiError as error:
        yield Step("profile", StepState.FAILED, str(error), "correct the [[profile]]")
    if problem := unheard(settings.node, destination):
        advice = f"add {destination.ae_title!r} to calling_ae_titles"
        yield Step("answers", StepState.FAILED, problem, advice)


def _check_names(names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"there is no destination and no peer {name!r}; {hint}")
