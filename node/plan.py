"""What settings say is to be done with an image: for whom, in which form, how soon."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import Dataset

from config.settings import Settings
from node.jobs import Priority
from node.options import OutputOptions
from node.rule_facts import Titles
from node.rules import decide


@dataclass(frozen=True)
class Plan:
    """What is to be done with an image.

    Attributes:
        outputs: What is written, and the names of the destinations that get it.
        priority: How soon; None: as its sender asked.
        put_aside: Why nothing is done with it; empty: it is worked on.
        bundle: Of the model that segments it, as the settings name it.
    """

    outputs: Mapping[OutputOptions, tuple[str, ...]]
    priority: Priority | None = None
    put_aside: str = ""
    bundle: str = ""


def plan(settings: Settings, header: Dataset, titles: Titles) -> Plan:
    """Return what settings say of an image.

    Args:
        settings: What the admin wants.
        header: Its attributes; without rules, nothing depends on them.
        titles: Who sent it, and whom it was sent to.

    Raises:
        ai.errors.LabelError: A profile names a structure that is not known.
    """
    decision = decide(settings, header, titles)
    is_urgent = titles.calling.strip() in settings.node.urgent_ae_titles
    priority = Priority.URGENT if decision.priority is None and is_urgent else decision.priority
    bundle = decision.model or settings.model.bundle
    return Plan(decision.outputs, priority, decision.reason, bundle)


def kinds_of(options: OutputOptions) -> tuple[str, ...]:
    """Return the kinds of objects that these options make of a radiograph, if there is something to show.

    >>> kinds_of(OutputOptions(secondary_capture=True))
    ('SEG', 'SR', 'SC')
    """
    made = {
        "SEG": options.seg != "none",
        "SR": options.report != "none",
        "SR structures": options.structure_report and options.seg != "none",
        "PR": options.presentation_state,
        "SC": options.secondary_capture,
    }
    return tuple(kind for kind, is_made in made.items() if is_made)
