"""The rules as they are shown: what each asks, what follows from it, and how it went with a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from config.rules import SENDER, Rule
from config.settings import Settings
from node.rule_facts import Titles
from node.rule_trial import Trial, kinds_of, try_file
from node.rule_words import found_words, wanted_words
from node.rules import Decision, Fate, RuleRead

KEPT_HERE = "the data folder"


@dataclass(frozen=True)
class ConditionShown:
    """One condition of a rule.

    Attributes:
        wanted: In words, such as "Modality is DX".
        found: What the file has, in words; empty where no file was tried.
        holds: Whether it held; None where no file was tried.
    """

    wanted: str
    found: str = ""
    holds: bool | None = None


@dataclass(frozen=True)
class RuleShown:
    """One rule.

    Attributes:
        name: Its name.
        conditions: All of them must hold; none: it holds for every image.
        ignored: Why such images are ignored; empty: they are not.
        actions: What is done otherwise, in words.
        is_never_asked: Whether a rule before it holds for every image, and the first one decides.
        outcome: With the file that was tried: "decides", "holds" without having a say, or "does not hold";
            empty where no file was tried.
    """

    name: str
    conditions: tuple[ConditionShown, ...]
    ignored: str
    actions: tuple[str, ...]
    is_never_asked: bool
    outcome: str = ""


@dataclass(frozen=True)
class Flow:
    """All rules, in the order in which they are asked.

    Attributes:
        match: "first": the first rule that holds decides; "all": all that hold do.
        rules: None: every image is worked on and goes to every destination.
        every: The names of every destination.
        end: What becomes of an image for which no rule holds, in words.
        refusal: Why the file that was tried would be refused whatever the rules say; empty: it would not,
            or none was tried.
    """

    match: str
    rules: tuple[RuleShown, ...]
    every: tuple[str, ...]
    end: str
    refusal: str = ""


@dataclass(frozen=True)
class ShareShown:
    """What would be sent.

    Attributes:
        destinations: To whom; "the data folder" where it stays there.
        kinds: Of objects, in words.
    """

    destinations: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class TrialShown:
    """What the node would do with a file. It may hold values of a patient: for who asked, never for a log.

    Attributes:
        file: As it was called.
        calling: Who would send it.
        called: Whom they would call.
        flow: The rules, each with what it found.
        fate: "processed", "ignored", "unmatched", or "refused" where its header tells that the node would.
        reason: Why nothing is made of it; empty: something is.
        decided_by: The names of the rules that decided.
        shares: What would be sent to whom.
        priority: How soon, in words.
        model: The bundle that segments it, where a rule names one.
        remarks: What a rule asks for and cannot be done.
    """

    file: str
    calling: str
    called: str
    flow: Flow
    fate: str
    reason: str
    decided_by: tuple[str, ...]
    shares: tuple[ShareShown, ...]
    priority: str
    model: str
    remarks: tuple[str, ...]


def flow_of(settings: Settings, read: Sequence[RuleRead] = ()) -> Flow:
    """Return the rules of settings.

    Args:
        settings: With the rules.
        read: How each went with a file; none: no file was tried.
    """
    every = tuple(destination.name for destination in settings.destinations)
    outcomes: Sequence[RuleRead | None] = read or [None] * len(settings.rule)
    first, rules, is_decided = settings.routing.match == "first", [], False
    for rule, outcome in zip(settings.rule, outcomes, strict=True):
        rules.append(_shown(rule, outcome, every, is_never_asked=is_decided))
        is_decided = is_decided or (first and not rule.when)
    end = "it is unmatched: nothing is made of it, and it is kept until somebody runs it once more"
    if not rules:
        end = f"results go to {_list(every) or KEPT_HERE}"
    return Flow(settings.routing.match, tuple(rules), every, end)


def tried(settings: Settings, name: str, file: BinaryIO, titles: Titles) -> TrialShown:
    """Return what a node with these settings would do with an open file; nothing is kept.

    Raises:
        UndecodableError: It is no DICOM file that the node could read.
    """
    trial = try_file(settings, Path(name), file, titles)
    decision, is_processed = trial.explanation.decision, _is_processed(trial)
    refusal = "" if is_processed or decision.reason else trial.refusal
    return TrialShown(
        file=name,
        calling=titles.calling,
        called=titles.called,
        flow=replace(flow_of(settings, trial.explanation.rules), refusal=refusal),
        fate="refused" if refusal else decision.fate.value,
        reason=decision.reason or refusal,
        decided_by=decision.rules,
        shares=tuple(_shares(decision)) if is_processed else (),
        priority=_priority(settings, decision, titles),
        model=decision.model if is_processed else "",
        remarks=decision.remarks,
    )


def _is_processed(trial: Trial) -> bool:
    return trial.explanation.decision.fate is Fate.PROCESSED and not trial.refusal


def _shown(
    rule: Rule, outcome: RuleRead | None, every: tuple[str, ...], *, is_never_asked: bool
) -> RuleShown:
    words = [wanted_words(condition) for condition in rule.when]
    if outcome is None:
        conditions, ending = tuple(ConditionShown(each) for each in words), ""
    else:
        conditions = tuple(
            ConditionShown(each, found_words(read.found), read.holds)
            for each, read in zip(words, outcome.conditions, strict=True)
        )
        ending = "decides" if outcome.counts else "holds" if outcome.holds else "does not hold"
    return RuleShown(rule.name, conditions, rule.ignore, _actions(rule, every), is_never_asked, ending)


def _actions(rule: Rule, every: tuple[str, ...]) -> tuple[str, ...]:
    if rule.ignore:
        return ()
    names = tuple("back to its sender" if name == SENDER else name for name in rule.destinations)
    said = {
        "results to": _list(names) or f"every destination: {_list(every) or KEPT_HERE}",
        "profile": rule.profile,
        "structures": _list(rule.structures),
        "measurements": _list(rule.measurements),
        "priority": rule.priority,
        "segmented by": rule.model,
    }
    return tuple(f"{what} {words}" for what, words in said.items() if words)


def _shares(decision: Decision) -> list[ShareShown]:
    return [
        ShareShown(names or (KEPT_HERE,), kinds_of(options)) for options, names in decision.outputs.items()
    ]


def _priority(settings: Settings, decision: Decision, titles: Titles) -> str:
    if decision.priority is not None:
        return decision.priority.name.lower()
    if titles.calling in settings.node.urgent_ae_titles:
        return "urgent, for its sender is in node.urgent_ae_titles"
    return "as its sender asks"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
