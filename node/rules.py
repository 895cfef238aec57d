"""What becomes of an image: the rules of the settings, put to its header and to who sent it.

`decide` is for the worker, `explain` for people: the same decision with everything that led to it. Without
any rule everything goes to every destination. Neither touches a file, the database or the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydicom import Dataset

from ai.anatomy import chosen
from config.conditions import Condition
from config.rules import RETURN_PREFIX, SENDER, Rule
from config.settings import Settings
from node.jobs import Priority
from node.options import OutputOptions, destinations_by_options, options_of
from node.rule_facts import Found, Titles, found_in, holds

NO_RULE = "no rule holds for it"

PRIORITIES = {"urgent": Priority.URGENT, "routine": Priority.ROUTINE, "low": Priority.LOW}
"""In the words of the settings."""


class Fate(StrEnum):
    """What is done with an image."""

    PROCESSED = "processed"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"


@dataclass(frozen=True)
class Decision:
    """What becomes of one image.

    Attributes:
        fate: Whether results are made of it.
        outputs: What is written, with the names of the destinations that get it; none: it stays here.
        rules: Names of the rules that decided, in their order; none where there are no rules.
        reason: Why no results are made; empty otherwise.
        priority: How soon it is worked on; None: as its sender asks.
        model: The bundle that segments it; "" for the one in `[model]`.
        remarks: What a rule asked for and cannot be done, one sentence each.
    """

    fate: Fate = Fate.PROCESSED
    outputs: Mapping[OutputOptions, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    reason: str = ""
    priority: Priority | None = None
    model: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConditionRead:
    """One condition, held against one image.

    Attributes:
        condition: What was wanted.
        found: What the image has. It may be a patient's: for the screen of who asked, never for a log.
        holds: Whether it held.
    """

    condition: Condition
    found: Found = field(repr=False)
    holds: bool


@dataclass(frozen=True)
class RuleRead:
    """One rule, held against one image.

    Attributes:
        name: Its name.
        conditions: Each of its conditions; a rule without any holds for every image.
        holds: Whether all of them held.
        counts: Whether it had a say: with `match = "first"` only the first that holds has.
    """

    name: str
    conditions: tuple[ConditionRead, ...]
    holds: bool
    counts: bool


@dataclass(frozen=True)
class Explanation:
    """A decision, and every rule that led to it or did not."""

    decision: Decision
    rules: tuple[RuleRead, ...]


def decide(settings: Settings, header: Dataset, titles: Titles) -> Decision:
    """Return what becomes of an image.

    Args:
        settings: Those of the node; `load_settings` has made sure that the names in their rules are known.
        header: Its data set; pixels are not needed. Elements that are asked for are converted in place.
        titles: Who sent it, and whom it was sent to.
    """
    return explain(settings, header, titles).decision


def explain(settings: Settings, header: Dataset, titles: Titles) -> Explanation:
    """Return what becomes of an image, and why; arguments as in `decide`."""
    read = tuple(_read(rule, header, titles) for rule in settings.rule)
    holding = [rule for rule, each in zip(settings.rule, read, strict=True) if each.holds]
    counting = holding[:1] if settings.routing.match == "first" else holding
    names = {rule.name for rule in counting}
    marked = tuple(replace(each, counts=each.name in names) for each in read)
    return Explanation(_decision(settings, counting, titles), marked)


def check_profiles(settings: Settings) -> None:
    """Make sure that every profile in use can be written, before the first image comes.

    Raises:
        ai.errors.LabelError: A profile names a structure that is not known.
    """
    destinations_by_options(settings)
    for rule in settings.rule:
        options_of(settings.profile_named(rule.profile), settings.results)


def _read(rule: Rule, header: Dataset, titles: Titles) -> RuleRead:
    conditions = []
    for condition in rule.when:
        found = found_in(header, titles, condition.subject)
        conditions.append(ConditionRead(condition, found, holds(condition, found)))
    return RuleRead(rule.name, tuple(conditions), all(each.holds for each in conditions), counts=False)


def _decision(settings: Settings, counting: Sequence[Rule], titles: Titles) -> Decision:
    """Return what the rules that count say together: destinations add up, the first says the rest."""
    if not settings.rule:
        return Decision(outputs=destinations_by_options(settings))
    if not counting:
        return Decision(Fate.UNMATCHED, reason=NO_RULE)
    ignoring = next((rule for rule in counting if rule.ignore), None)
    if ignoring is not None:
        reason = f"rule {ignoring.name}: {ignoring.ignore}"
        return Decision(Fate.IGNORED, rules=(ignoring.name,), reason=reason, priority=_priority(counting))
    return _processed(settings, counting, titles)


def _processed(settings: Settings, counting: Sequence[Rule], titles: Titles) -> Decision:
    rules = tuple(rule.name for rule in counting)
    named = tuple(dict.fromkeys(name for rule in counting for name in rule.destinations))
    names, remark = _resolved(settings, named, titles)
    if named and not names:
        return Decision(Fate.UNMATCHED, rules=rules, reason=remark, priority=_priority(counting))
    first = _Overrides(
        profile=next((rule.profile for rule in counting if rule.profile), ""),
        structures=next((rule.structures for rule in counting if rule.structures), ()),
        measurements=next((rule.measurements for rule in counting if rule.measurements), ()),
    )
    return Decision(
        outputs=_outputs(settings, names or tuple(d.name for d in settings.destinations), first),
        rules=rules,
        priority=_priority(counting),
        model=next((rule.model for rule in counting if rule.model), ""),
        remarks=(remark,) if remark else (),
    )


def _priority(counting: Sequence[Rule]) -> Priority | None:
    return PRIORITIES.get(next((rule.priority for rule in counting if rule.priority), ""))


def _resolved(settings: Settings, named: Sequence[str], titles: Titles) -> tuple[tuple[str, ...], str]:
    """Return names of destinations for the words of rules, and what is said where nobody knows the sender."""
    back = f"{RETURN_PREFIX}{titles.calling.strip()}"
    is_known = back in {destination.name for destination in settings.returns}
    names = [back if name == SENDER else name for name in named if name != SENDER or is_known]
    lost = SENDER in named and not is_known
    remark = f"nothing for the sender: no [[peer]] says where {titles.calling.strip()!r} is reached"
    return tuple(dict.fromkeys(names)), remark if lost else ""


@dataclass(frozen=True)
class _Overrides:
    """What rules say in the place of a destination's profile; empty: nothing."""

    profile: str
    structures: tuple[str, ...]
    measurements: tuple[str, ...]

    def applied(self, settings: Settings, profile: str) -> OutputOptions:
        options = options_of(settings.profile_named(self.profile or profile), settings.results)
        structures = chosen(self.structures) if self.structures else options.structures
        return replace(options, structures=structures, measurements=tuple(sorted(set(self.measurements))))


def _outputs(
    settings: Settings, names: Sequence[str], overrides: _Overrides
) -> Mapping[OutputOptions, tuple[str, ...]]:
    profiles = {destination.name: destination.profile for destination in settings.every_destination}
    found: dict[OutputOptions, tuple[str, ...]] = {}
    for name in names:
        options = overrides.applied(settings, profiles[name])
        found[options] = (*found.get(options, ()), name)
    return found or {overrides.applied(settings, ""): ()}
