"""How soon an image is worked on: as its sender asks, as the admin says of its sender, as the rules say."""

from collections.abc import Callable, Collection
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from config.settings import Settings
from node.attributes import CONVERSION_ERRORS
from node.head import read_header
from node.jobs import Priority
from node.rule_facts import Titles
from node.rules import decide
from node.store_command import StoreRequest

HIGH = 0x0001
"""Priority (0000,0700) of a C-STORE request (PS3.7 Table 9.3-1). MEDIUM (0000) and LOW (0002) are alike:
toolkits send LOW where nobody has chosen anything (pynetdicom 3.0.4 does)."""


def priority_of(request: StoreRequest, calling_ae_title: str, urgent_ae_titles: Collection[str]) -> Priority:
    """Return the priority of an object.

    Args:
        request: With which it came.
        calling_ae_title: Who sent it.
        urgent_ae_titles: Whose objects are urgent whatever they ask for; `node.urgent_ae_titles`.
    """
    is_urgent = request.priority == HIGH or calling_ae_title.strip() in urgent_ae_titles
    return Priority.URGENT if is_urgent else Priority.ROUTINE


class Priorities:
    """Tells how soon each received image is worked on. Another may take its place at any time.

    Args:
        urgent_ae_titles: As in `priority_of`.
        by_rules: Says what rules say of a header; None, or what it returns None for, leaves it to the sender.
    """

    def __init__(
        self,
        urgent_ae_titles: Collection[str],
        by_rules: Callable[[Dataset, Titles], Priority | None] | None = None,
    ) -> None:
        self._urgent = urgent_ae_titles
        self._by_rules = by_rules

    def of(self, request: StoreRequest, titles: Titles, path: Path, offset: int, syntax: UID) -> Priority:
        """Return the priority of an image whose data set begins at an offset of a file.

        What rules cannot be asked about, because the header cannot be read, is as its sender asks: never a
        reason to refuse it.
        """
        asked = priority_of(request, titles.calling, self._urgent)
        header = read_header(path, offset, syntax) if self._by_rules is not None else None
        if self._by_rules is None or header is None:
            return asked
        try:
            said = self._by_rules(header, titles)
        except CONVERSION_ERRORS:  # the worker will see the same, and tells what is wrong with the image
            return asked
        return asked if said is None else said


def priorities_of(settings: Settings) -> Priorities:
    """Return what tells priorities with these settings; headers are read only where a rule has a say."""
    urgent = settings.node.urgent_ae_titles
    if not any(rule.priority for rule in settings.rule):
        return Priorities(urgent)
    return Priorities(urgent, lambda header, titles: decide(settings, header, titles).priority)
