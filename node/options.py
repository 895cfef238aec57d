"""What is written for a radiograph, and how: the part of the settings that the writers see."""

import hashlib
import json
from dataclasses import asdict, dataclass

from ai.anatomy import ALL, chosen
from ai.errors import LabelError
from config.profiles import Profile
from config.settings import ResultSettings, Settings

WRITER_REVISION = 11
"""Raised whenever another object would be made of the same input, so that its UID changes too: by the
writers, by what reads a source, or by what measures (tests/node/test_writer_revision.py)."""

RULES = {
    "seg": ("binary", "labelmap", "fractional", "none"),
    "grouping": ("one", "anatomy"),
    "report": ("comprehensive-3d", "comprehensive", "none"),
    "content_qualification": ("PRODUCT", "RESEARCH", "SERVICE"),
}
"""The words that some of the options may be."""


@dataclass(frozen=True)
class OutputOptions:
    """What is written for a radiograph.

    Attributes:
        structures: Which, in the words of `ai.anatomy.chosen`.
        seg: "binary", "labelmap" or "fractional" Segmentations, or "none".
        grouping: "one" Segmentation, or one for each group of "anatomy".
        orientation_shim: Whether the Segmentation carries the identity Image Orientation (Patient) that OHIF
            3.13 needs before it draws one over a radiograph. It says nothing about the patient.
        report: SOP class of the reports: "comprehensive-3d", "comprehensive"; "none" writes none of drawings.
        structure_report: Whether a second report has each segment's area.
        presentation_state: Whether a Grayscale Softcopy Presentation State is written.
        secondary_capture: Whether the picture is written with everything drawn in.
        series_number_base: Series Number of the first result; those of the others follow it.
        content_qualification: Content Qualification (0018,9004): PRODUCT, RESEARCH or SERVICE.
        uid_root: Root of new UIDs, or "" for UIDs below 2.25 (PS3.5 B.2).
        measurements: Names of those that are reported, in any order; none: every one.
        judged: What identifies the judge that looks at pictures and what is done about what it sees
            (`node.appearance.Examiner.digest`); "" where none looks.

    Raises:
        ai.errors.LabelError: A structure is not known.
    """

    structures: tuple[str, ...] = (ALL,)
    seg: str = "binary"
    grouping: str = "one"
    orientation_shim: bool = False
    report: str = "comprehensive-3d"
    structure_report: bool = False
    presentation_state: bool = False
    secondary_capture: bool = False
    series_number_base: int = 9000
    content_qualification: str = "RESEARCH"
    uid_root: str = ""
    judged: str = ""
    measurements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in RULES.items():
            if getattr(self, name) not in allowed:
                words = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
                raise ValueError(f"{name} must be {words}, found {getattr(self, name)!r}")
        chosen(self.structures)

    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of what decides how results look; it enters their UIDs."""
        content = {**asdict(self), "writer": WRITER_REVISION, "structures": chosen(self.structures)}
        if self.measurements:
            content["measurements"] = sorted(set(self.measurements))
        else:  # so that who asks for all has the UIDs that were made before there was a choice
            del content["measurements"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def options_of(profile: Profile, results: ResultSettings) -> OutputOptions:
    """Return what a profile's destinations are written.

    Raises:
        ai.errors.LabelError: The profile names a structure that is not known.
    """
    form = profile.model_dump(exclude={"name", "like", "transfer_syntaxes"})
    try:
        form["structures"] = chosen(profile.structures)  # so that equal choices are equal options
    except LabelError as error:
        raise LabelError(f"profile {profile.name!r}: {error}") from error
    return OutputOptions(**form, **results.model_dump(exclude={"profile"}))


def destinations_by_options(settings: Settings) -> dict[OutputOptions, tuple[str, ...]]:
    """Return what is written, and the names of the destinations that get it; equal profiles share it.

    Without any destination, results of the profile in `[results]` stay in the data folder.
    """
    found: dict[OutputOptions, tuple[str, ...]] = {}
    for destination in settings.destinations:
        options = options_of(settings.profile_named(destination.profile), settings.results)
        found[options] = (*found.get(options, ()), destination.name)
    return found or {options_of(settings.profile_named(""), settings.results): ()}
