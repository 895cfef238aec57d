"""Sources of a few kinds, written in the form of each profile: for tests that decode the bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage

from ai.labels import label
from ai.radiograph import Radiograph
from ai.segmentation import Mask, Segmentation
from ai.stand_in import StandInSegmenter
from ai.uncertainty import Trust
from config.profiles import Profile, shipped_profiles
from config.settings import ResultSettings
from node.options import options_of
from node.pipeline import Understood, understand, write

Bools = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

MINIMAL = ("heart", "visible lung right", "visible lung left")
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


@dataclass(frozen=True)
class Form:
    """What a profile has to write, in the words of docs/profiles.md."""

    profile: Profile
    seg_class: str | None
    grouped: bool
    shim: bool
    report_class: str
    structures: bool = False
    gsps: bool = False
    capture: bool = False


def _own(name: str, **keys: Any) -> Profile:
    return Profile(**{**shipped_profiles()["standard"].model_dump(), "name": name, **keys})


SEG, SR, SR_3D = str(SegmentationStorage), str(ComprehensiveSRStorage), str(Comprehensive3DSRStorage)
SHIPPED = shipped_profiles()
FORMS = {
    "standard": Form(SHIPPED["standard"], SEG, False, False, SR_3D, structures=True),
    "ohif": Form(SHIPPED["ohif"], SEG, True, True, SR_3D),
    "weasis": Form(SHIPPED["weasis"], SEG, False, False, SR, gsps=True),
    "orthanc": Form(SHIPPED["orthanc"], SEG, True, True, SR_3D, capture=True),
    "legacy": Form(SHIPPED["legacy"], None, False, False, SR, gsps=True, capture=True),
    "minimal": Form(SHIPPED["minimal"], SEG, False, True, SR),
    "label maps": Form(
        _own("maps", seg="labelmap", structure_report=False), LABEL_MAP_STORAGE, False, False, SR_3D
    ),
    "grouped label maps": Form(
        _own("group-maps", seg="labelmap", grouping="anatomy", structure_report=False),
        LABEL_MAP_STORAGE,
        True,
        False,
        SR_3D,
    ),
    "fractional": Form(_own("bytes", seg="fractional", structure_report=False), SEG, False, False, SR_3D),
    "grouped fractional": Form(
        _own("group-bytes", seg="fractional", grouping="anatomy", report="comprehensive"),
        SEG,
        True,
        False,
        SR,
        structures=True,
    ),
}

SOURCES: dict[str, dict[str, Any]] = {
    "aligned": {"rows": 128, "columns": 96},
    "251 x 223": {"rows": 251, "columns": 223, "ImagerPixelSpacing": [1.4, 1.4]},
    "250 x 223": {"rows": 250, "columns": 223},
    "monochrome1": {
        "rows": 120,
        "columns": 104,
        "ImagerPixelSpacing": [2.9, 2.9],
        "PhotometricInterpretation": "MONOCHROME1",
        "PresentationLUTShape": "INVERSE",
    },
    "mirrored": {
        "rows": 118,
        "columns": 97,
        "PatientOrientation": ["R", "F"],
        "ImagerPixelSpacing": [3.0, 2.5],
    },
    "a quarter turn": {
        "rows": 96,
        "columns": 136,
        "PatientOrientation": ["F", "R"],
        "ImagerPixelSpacing": [2.5, 3.0],
    },
    "no spacing": {"rows": 128, "columns": 96, "ImagerPixelSpacing": None},
}
CASES = [
    (source, form)
    for source in SOURCES
    for form in FORMS
    if source == "a quarter turn"
    or (source in {"251 x 223", "mirrored"} and form == "grouped label maps")
    or (source in {"251 x 223", "mirrored", "no spacing"} and form == "ohif")
    or (source in {"aligned", "250 x 223", "monochrome1"} and form == "minimal")
    or (source, form) in {("mirrored", "legacy"), ("no spacing", "standard")}
]
"""Every form on one source, and at least one on each."""


LEFT_OUT = tuple(f"vertebrae T{number}" for number in range(2, 9, 2))
"""Of the stand-in's structures: they would show nothing that others do not. No two in a row, for the line
through the vertebrae goes over one."""


class Drawn(StandInSegmenter):
    """Draws beside the stand-in's shapes others that overlap: of every group, on both sides, lopsided."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        (found,) = super().segment(radiographs)
        shapes = {name: mask.dense(found.shape) for name, mask in found.masks.items()} | _shapes(found.shape)
        shapes = {name: shape for name, shape in shapes.items() if name not in LEFT_OUT}
        masks = {name: mask for name in shapes if (mask := Mask.from_dense(shapes[name])) is not None}
        in_order = {name: masks[name] for name in sorted(masks, key=lambda name: label(name).id)}
        trust = {"heart": Trust(0.834, 0.9), "breast left": Trust(0.126, 0.8)}
        unsupported = tuple(name for name in found.unsupported if name not in masks)
        return [replace(found, masks=in_order, trust=trust, unsupported=unsupported)]


def _shapes(shape: tuple[int, int]) -> dict[str, Bools]:
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns] / np.array([rows, columns])[:, None, None]
    lung = ((x - 0.29) / 0.15) ** 2 + ((y - 0.47) / 0.3) ** 2 <= 1
    first, last = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    first[0, 0] = last[-1, -1] = last[-1, -3] = True
    return {
        "right lung": lung & (x + y > 0.55),
        "posterior 5th rib right": (abs(y - 0.35 - 0.3 * x) < 0.02) & (x > 0.13) & (x < 0.48),
        "posterior 6th rib right": (abs(y - 0.41 - 0.3 * x) < 0.02) & (x > 0.14) & (x < 0.48),
        "anterior 5th rib left": (abs(y - 0.62 + 0.2 * x) < 0.03) & (x > 0.55) & (x < 0.9),
        "posterior 9th rib": (abs(y - 0.7) < 0.01) & (abs(x - 0.5) > 0.1) & (x > 0.2) & (x < 0.9),
        "aorta": (x > 0.52) & (x < 0.6) & (y > 0.25) & (y < 0.5 + 0.3 * x),
        "cardiomediastinum": (x > 0.4) & (x < 0.68) & (y > 0.2) & (y < 0.75),
        "esophagus": (abs(x - 0.51 - 0.05 * y) < 0.015) & (y < 0.8),
        "scapula right": (x < 0.2) & (y > 0.15) & (x > 0.3 * y),
        "stomach": (x > 0.55) & (x < 0.75) & (y > 0.8) & (y < 0.93),
        "breast left": (x > 0.6) & (x < 0.97) & (y > 0.55) & (y + 0.2 * x < 0.95),
        "liver": first,
        "kidney left": last,
    }


def stored(usual: Bools, lies: str) -> Bools:
    """Return a usual picture, its columns towards the left and its rows towards the feet, as it is stored."""
    rows, columns = usual.shape
    to = {
        "L": np.arange(columns),
        "R": np.arange(columns)[::-1],
        "F": np.arange(rows),
        "H": np.arange(rows)[::-1],
    }
    if lies[0] in "LR":
        return usual[np.ix_(to[lies[1]], to[lies[0]])]
    return usual[np.ix_(to[lies[0]], to[lies[1]])].T


def stored_points(points: Sequence[tuple[float, float]], lies: str, shape: tuple[int, int]) -> Points:
    """Return (column, row) points of a usual picture of that shape as they are stored."""
    across, down = np.transpose(points)
    to = {"L": across, "R": shape[1] - across, "F": down, "H": shape[0] - down}
    return np.column_stack([to[lies[0]], to[lies[1]]])


@dataclass(frozen=True, eq=False)
class Case:
    """One source written in one form."""

    form: Form
    dataset: Dataset
    found: Understood
    files: dict[str, bytes]

    @property
    def lies(self) -> str:
        return "".join(self.dataset.PatientOrientation)

    @cached_property
    def objects(self) -> dict[str, Dataset]:
        return {kind: dcmread(BytesIO(content)) for kind, content in self.files.items()}

    @cached_property
    def segs(self) -> list[hd.seg.Segmentation]:
        """What highdicom reads; it cannot read Slice Thickness, which OHIF needs, without Pixel Spacing."""
        found = {kind: content for kind, content in self.files.items() if kind.startswith("SEG")}
        if self.form.shim and "ImagerPixelSpacing" not in self.dataset:
            for kind, content in found.items():
                with pytest.raises(AttributeError, match="Pixel Measures"):
                    hd.seg.segread(BytesIO(content))
                seg = dcmread(BytesIO(content))
                del seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
                found[kind] = as_bytes(seg)
        return [hd.seg.segread(BytesIO(content)) for content in found.values()]

    @cached_property
    def masks(self) -> dict[str, Bools]:
        """What has to be sent, as it has to lie."""
        shape, masks = self.found.segmentation.shape, self.found.segmentation.masks
        wanted = [name for name in masks if self.form.profile.name != "minimal" or name in MINIMAL]
        return {name: stored(masks[name].dense(shape), self.lies) for name in wanted}

    @cached_property
    def groups(self) -> dict[str, list[Any]]:
        """The measurement groups of each report."""
        reports = {kind: content for kind, content in self.files.items() if kind.startswith("SR")}
        read = {kind: hd.sr.srread(BytesIO(content)) for kind, content in reports.items()}
        contents: dict[str, Any] = {kind: each.content for kind, each in read.items()}
        return {kind: list(each.get_planar_roi_measurement_groups()) for kind, each in contents.items()}

    def segment(self, sop_instance_uid: str, number: int) -> str:
        """Return the label of a segment that a report refers to."""
        (seg,) = [seg for seg in self.segs if seg.SOPInstanceUID == sop_instance_uid]
        return str(seg.get_segment_description(number).segment_label)


def understood(dataset: Dataset) -> tuple[Dataset, Understood]:
    """Return a source, and what is found in it by drawing."""
    if dataset.ImagerPixelSpacing is None:
        del dataset.ImagerPixelSpacing
    return dataset, understand(BytesIO(as_bytes(dataset)), Drawn(), lambda stage, seconds: None)


def written(source: tuple[Dataset, Understood], form: str) -> Case:
    """Return a source written in a form."""
    dataset, found = source
    results = write(found, options_of(FORMS[form].profile, ResultSettings()))
    return Case(FORMS[form], dataset, found, {result.kind: as_bytes(result.dataset) for result in results})


def as_bytes(dataset: Dataset) -> bytes:
    """Return the content of an object's file."""
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()
