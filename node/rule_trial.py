"""Trying out rules on files: what the node would do with each, and why. Nothing is written or sent."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset

from ai.anatomy import chosen
from config.settings import Settings
from node.decode import parse
from node.errors import StorageError
from node.header_refusal import header_refusal
from node.limits import MAX_OBJECT_BYTES
from node.options import OutputOptions
from node.rule_facts import Titles
from node.rules import Decision, Explanation, Fate, explain


@dataclass(frozen=True)
class Trial:
    """What the node would do with one file.

    Attributes:
        path: The file.
        explanation: What the rules say, and why.
        refusal: Why the node would refuse the image whatever the rules say; empty: its header tells none.
    """

    path: Path
    explanation: Explanation
    refusal: str = ""

    @property
    def steps(self) -> tuple[str, ...]:
        """What would be done, one sentence each."""
        decision = self.explanation.decision
        if decision.fate is not Fate.PROCESSED:
            return (f"{decision.fate}: {decision.reason}",)
        if self.refusal:
            return (f"refused: {self.refusal}",)
        return tuple(_steps(decision))


def try_rules(settings: Settings, path: Path, titles: Titles) -> Trial:
    """Return what the node would do with a file if it came from `titles.calling`.

    Raises:
        UndecodableError: It is no DICOM file that the node could read.
        StorageError: It cannot be opened.
    """
    try:
        with path.open("rb") as file:
            return try_file(settings, path, file, titles)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def try_file(settings: Settings, path: Path, file: BinaryIO, titles: Titles) -> Trial:
    """Return what the node would do with an open file; as `try_rules`, which opens it.

    Args:
        settings: Those that are tried.
        path: What it is called.
        file: Read to its end, but no further than an object may be long.
        titles: Who would send it, and whom they would call.
    """
    header = parse(file.read(MAX_OBJECT_BYTES + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, about values that break rules: they count as they are
        return _tried(settings, path, header, titles)


def _tried(settings: Settings, path: Path, header: Dataset, titles: Titles) -> Trial:
    explanation = explain(settings, header, titles)
    bundle = explanation.decision.model or settings.model.bundle
    return Trial(path, explanation, header_refusal(header, bundle))


def _steps(decision: Decision) -> Iterator[str]:
    for options, destinations in decision.outputs.items():
        where = f"to {', '.join(destinations)}" if destinations else "kept in the data folder"
        yield f"{where}: {', '.join(kinds_of(options))}"
    if decision.priority is not None:
        yield f"priority: {decision.priority.name.lower()}"
    if decision.model:
        yield f"segmented by {decision.model}"
    yield from decision.remarks


def kinds_of(options: OutputOptions) -> tuple[str, ...]:
    """Return what is written with these options, in words.

    "Up to": of the structures that are chosen those are sent that the model knows and finds.
    """
    count = len(options.measurements)
    some = f" of {count} measurement{'s' if count > 1 else ''}" if count else ""
    form = {"binary": "SEG", "labelmap": "SEG, label map"}.get(options.seg, f"SEG, {options.seg}")
    kinds = {
        f"masks of up to {len(chosen(options.structures))} structures ({form})": options.seg != "none",
        f"report{some} (SR)": options.report != "none",
        "report on structures (SR)": options.structure_report,
        "presentation state (PR)": options.presentation_state,
        "picture with what was found drawn in (SC)": options.secondary_capture,
    }
    return tuple(kind for kind, is_made in kinds.items() if is_made)
