"""What became of one volume in a build."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from pipeline_training.errors import BuildError


class Verdict(StrEnum):
    """Whether a volume's projections are in the data set."""

    BUILT = "built"
    REJECTED = "rejected"
    """A rule says no; the reason names it. Mending the volume and building again takes it in."""
    FAILED = "failed"
    """A defect of the pipeline or of a worker, not of the volume: worth a report."""


class Knowledge(StrEnum):
    """What a volume tells of a structure."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class CaseOutcome:
    """One volume's part of a build.

    Attributes:
        case: Name of the volume.
        verdict: What became of it.
        reason: Why it is not in the data set; "" where it is.
        patient: The unit that data are split by; "" where nothing could be read.
        files: Names of its projections, those of earlier runs included.
        made: How many of them this run made.
        seconds: Of this run.
        knowledge: For each structure of ai/labels.csv whether it is present, absent or unknown.
    """

    case: str
    verdict: Verdict
    reason: str = ""
    patient: str = ""
    files: tuple[str, ...] = ()
    made: int = 0
    seconds: float = 0.0
    knowledge: Mapping[str, Knowledge] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `<case>.json`; it appears only when it is complete."""
        folder.mkdir(parents=True, exist_ok=True)
        torn = folder / f"{self.case}.json.part"
        torn.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        torn.rename(folder / f"{self.case}.json")


def read_outcome(path: Path) -> CaseOutcome:
    """Return what `CaseOutcome.write` wrote.

    Raises:
        BuildError: If it is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        knowledge = {name: Knowledge(value) for name, value in content.pop("knowledge").items()}
        files, verdict = tuple(content.pop("files")), Verdict(content.pop("verdict"))
        return CaseOutcome(**content, files=files, verdict=verdict, knowledge=knowledge)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BuildError(f"{path} is not a case of a build: {exc!r}") from exc
