"""The names in rules, held against what the rest of the settings has: destinations, profiles, AE titles."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.conditions import EQUALITY, Condition
from config.rules import SENDER, Rule
from config.source import Location, nearest

if TYPE_CHECKING:
    from config.settings import Settings


@dataclass(frozen=True)
class Problem:
    """What is wrong in a rule.

    Attributes:
        location: Where.
        words: A sentence, without the place.
    """

    location: Location
    words: str


def problems(settings: "Settings") -> Iterator[Problem]:
    """Yield every name in the rules that nothing in the settings has."""
    for number, rule in enumerate(settings.rule):
        at: Location = ("rule", number)
        yield from _destinations(settings, rule, (*at, "destinations"))
        if rule.profile and rule.profile not in settings.profiles:
            words = f"must name a profile, found {rule.profile!r}{nearest(rule.profile, settings.profiles)}"
            yield Problem((*at, "profile"), f"'profile' in [rule] {words}")
        for place, condition in enumerate(rule.when):
            yield from _titles(settings, condition, (*at, "when", place))


def _destinations(settings: "Settings", rule: Rule, location: Location) -> Iterator[Problem]:
    names = [destination.name for destination in settings.destinations]
    for name in rule.destinations:
        if name == SENDER and SENDER in names:
            yield Problem(
                location, f"{SENDER!r} in [rule] means who sent the image: call the destination otherwise"
            )
        elif name == SENDER and not settings.peer:
            words = "sends back, and no [[peer]] says where any AE title is reached"
            yield Problem(location, f"'destinations' in [rule] {words}")
        elif name not in (*names, SENDER):
            hint = nearest(name, (*names, SENDER))
            yield Problem(location, f"'destinations' in [rule] must name destinations, found {name!r}{hint}")


def _titles(settings: "Settings", condition: Condition, location: Location) -> Iterator[Problem]:
    """Yield AE titles that the node never hears of, because `[node]` lets only others in."""
    node = settings.node
    allowed = {"calling_ae_title": node.calling_ae_titles, "called_ae_title": node.called_ae_titles}
    titles = allowed.get(condition.attribute, ())
    if not titles or condition.operator not in EQUALITY:
        return
    known = (*titles, node.ae_title) if condition.attribute == "called_ae_title" else titles
    for title in condition.wanted:
        if title not in known:
            words = f"asks for {title!r}, and {condition.attribute}s in [node] lets only others in"
            yield Problem(location, f"'when' in [rule] {words}{nearest(str(title), known)}")
