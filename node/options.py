"""What is written for a radiograph, and how: the part of the settings that the writers see."""

import hashlib
import json
from dataclasses import asdict, dataclass

WRITER_REVISION = 7
"""Raised whenever the writers would make another object of the same input, so that its UID changes too."""


@dataclass(frozen=True)
class OutputOptions:
    """What is written for a radiograph.

    Attributes:
        seg: Whether a Segmentation is written.
        sr: Whether a Structured Report is written.
        ohif_orientation: Whether the Segmentation carries the identity Image Orientation (Patient) that OHIF
            3.13 needs before it draws one over a radiograph. It says nothing about the patient.
        series_number_base: Series Number of the Segmentation; the report's is one above.
        content_qualification: Content Qualification (0018,9004): PRODUCT, RESEARCH or SERVICE.
        uid_root: Root of new UIDs, or "" for UIDs below 2.25 (PS3.5 B.2).
        judged: What identifies the judge that looks at pictures and what is done about what it sees
            (`node.appearance.Examiner.digest`); "" where none looks.
    """

    seg: bool = True
    sr: bool = True
    ohif_orientation: bool = True
    series_number_base: int = 9000
    content_qualification: str = "RESEARCH"
    uid_root: str = ""
    judged: str = ""

    def __post_init__(self) -> None:
        if self.content_qualification not in {"PRODUCT", "RESEARCH", "SERVICE"}:
            raise ValueError(
                "content_qualification must be PRODUCT, RESEARCH or SERVICE, "
                f"found {self.content_qualification!r}"
            )

    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of what decides how results look; it enters their UIDs."""
        content = {"writer": WRITER_REVISION, **asdict(self)}
        if not self.judged:  # results of a bundle without a judge keep the UIDs that they have had
            del content["judged"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
