"""The reports of each destination profile, decoded by highdicom and dcmtk from the bytes of the objects."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ai.anatomy import chosen
from ai.labels import label
from ai.measurement import Drawing, Measurement
from node import codes
from tests.node.written_profiles import CASES, FORMS, LABEL_MAP_STORAGE, Case, Points, stored_points

TOLERANCE_PX = 2e-3
"""Coordinates are rounded to a thousandth, and written in single precision."""

REPORTS, STRUCTURES = "SR", "SR structures"


@pytest.fixture(params=CASES, ids=[f"{source}, {form}" for source, form in CASES])
def case(request: pytest.FixtureRequest, cases: Callable[[str, str], Case]) -> Case:
    return cases(*request.param)


def _values(case: Case) -> Iterator[tuple[Measurement, Any, Any]]:
    """Yield each measurement with its number and its group in the report, which is named after its values."""
    measured = {each.name: each for each in case.found.measurements.computed}
    for group in case.groups[REPORTS]:
        numbers = group.get_measurements()
        names = group.tracking_identifier.split(", ") if numbers else []
        for name, number in zip(names, numbers, strict=True):
            yield measured[name], number, group


def test_every_value_stands_once_with_its_unit_and_name(case: Case) -> None:
    told = [
        (each.name, float(number.value), number.unit.value, number.name.value)
        for each, number, _ in _values(case)
    ]
    assert sorted(told) == sorted(
        (each.name, each.rounded, each.unit.value, codes.concept_of(each.name, each.unit).value)
        for each in case.found.measurements.computed
    )
    assert len(told) >= (4 if "ImagerPixelSpacing" not in case.dataset else 8)


def test_every_line_lies_on_the_stored_pixels_of_the_source(case: Case) -> None:
    shape = case.found.segmentation.shape
    regions: list[Points] = []
    for group in case.groups[REPORTS]:
        regions.append(np.asarray(group.roi.value))
        (image,) = group.roi.ContentSequence
        assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == case.dataset.SOPInstanceUID
    assert all(region.min() >= 0 for region in regions)
    assert all((region.max(axis=0) <= [case.dataset.Columns, case.dataset.Rows]).all() for region in regions)
    for measured, _, group in _values(case):
        lines = [stored_points(_closed(each), case.lies, shape) for each in measured.drawings]
        points = np.asarray(group.roi.value)
        assert max(min(_distance(point, line) for line in lines) for point in points) < TOLERANCE_PX, (
            measured.name
        )
        for corner in np.concatenate(lines):  # nothing of a line is left out of the report
            assert min(np.abs(region - corner).max(axis=1).min() for region in regions) < TOLERANCE_PX


def _closed(drawing: Drawing) -> Sequence[tuple[float, float]]:
    return drawing.points + drawing.points[:1] if drawing.closed else drawing.points


def _distance(point: Points, line: Points) -> float:
    """Return how far a point is from a line of straight pieces, in pixels."""
    starts, steps = line[:-1], np.diff(line, axis=0)
    lengths = np.maximum((steps**2).sum(axis=1), 1e-12)
    along = np.clip(((point - starts) * steps).sum(axis=1) / lengths, 0, 1)[:, None]
    return float(np.linalg.norm(starts + along * steps - point, axis=1).min())


def test_a_value_refers_to_the_segments_that_it_was_measured_on(case: Case) -> None:
    for measured, number, _ in _values(case):
        told = []
        for item in number.referenced_images:
            (target,) = item.ReferencedSOPSequence
            stated = np.atleast_1d(target.ReferencedSegmentNumber)
            told += [case.segment(target.ReferencedSOPInstanceUID, int(each)) for each in stated]
        maps = case.form.seg_class == LABEL_MAP_STORAGE  # to which no report refers: docs/profiles.md
        sent = set(case.masks) if case.segs and not maps else set()
        assert sorted(told) == sorted(set(measured.structures) & sent)


def test_finding_sites_have_the_side_and_the_part_of_what_was_measured(case: Case) -> None:
    for measured, number, _ in _values(case):
        assert _sites(number.finding_sites) == _wanted_sites(measured.structures)


def _sites(sites: Sequence[Any]) -> set[tuple[str, ...]]:
    return {
        (
            site.value.value,
            site.laterality.value if site.laterality else "",
            site.topographical_modifier.value if site.topographical_modifier else "",
        )
        for site in sites
    }


def _wanted_sites(names: Sequence[str]) -> set[tuple[str, ...]]:
    sides = ("7771000", "24028007", "51440002")
    wanted = set()
    for item in map(label, names):
        side = [code.value for code in item.modifiers if code.value in sides] or [""]
        part = [code.value for code in item.modifiers if code.value not in sides] or [""]
        wanted.add((item.type.value, *side, *part))
    return wanted


def test_every_sent_segment_has_a_group_with_its_area(case: Case) -> None:
    if not case.form.structures:
        assert STRUCTURES not in case.objects
        return
    tracked = {
        segment.SegmentLabel: segment.TrackingUID for seg in case.segs for segment in seg.SegmentSequence
    }
    groups = case.groups[STRUCTURES]
    assert (
        [group.tracking_identifier for group in groups] == list(case.masks) == list(chosen(list(case.masks)))
    )
    for group in groups:
        name = group.tracking_identifier
        (target,) = group.referenced_segmentation_frame[0].ReferencedSOPSequence
        assert case.segment(target.ReferencedSOPInstanceUID, target.ReferencedSegmentNumber) == name
        assert (group.tracking_uid, group.finding_type.value) == (tracked[name], label(name).type.value)
        assert _sites(group.finding_sites) == _wanted_sites([name])
        told = {each.name.value: (each.value, each.unit.value) for each in group.get_measurements()}
        wanted = _wanted_numbers(case, name)
        assert {each: unit for each, (_, unit) in told.items()} == {
            each: unit for each, (_, unit) in wanted.items()
        }
        for each, (value, _) in wanted.items():
            assert told[each][0] == pytest.approx(value, abs=0.05 + 1e-9), name


NOT_TRUSTED = ("breast left",)


def _wanted_numbers(case: Case, name: str) -> dict[str, tuple[float, str]]:
    wanted = {"heart": {"TRUST": (0.834, "1")}, "breast left": {"TRUST": (0.126, "1")}}.get(name, {})
    mask = case.masks[name]
    cut = mask[[0, -1]].any() or mask[:, [0, -1]].any()  # by an edge of the picture
    if "ImagerPixelSpacing" in case.dataset and not cut and name not in NOT_TRUSTED:
        row_mm, column_mm = map(float, case.dataset.ImagerPixelSpacing)
        area = float(np.count_nonzero(mask)) * row_mm * column_mm / 100
        wanted = {"42798000": (area, "cm2"), **wanted}
    return wanted


@pytest.mark.parametrize("form", ["standard", "legacy"])
def test_dcmtk_reads_the_reports_and_shows_every_value(
    cases: Callable[[str, str], Case], tmp_path: Path, form: str
) -> None:
    if shutil.which("dsrdump") is None or shutil.which("dsr2html") is None:
        return
    case = cases("a quarter turn", form)
    for kind in case.groups:
        (tmp_path / "sr.dcm").write_bytes(case.files[kind])
        done = subprocess.run(["dsrdump", "sr.dcm"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert [line for line in done.stderr.splitlines() if line.startswith(("E:", "F:"))] == []
        numbers = [line for line in done.stdout.splitlines() if "NUM:" in line]
        values = [number.value for group in case.groups[kind] for number in group.get_measurements()]
        assert len(numbers) == len(values) > 0
        assert all(f'="{value}"' in line for value, line in zip(values, numbers, strict=True))
        subprocess.run(["dsr2html", "sr.dcm", "sr.html"], cwd=tmp_path, check=True, capture_output=True)
        assert "Measurement Group" in (tmp_path / "sr.html").read_text(encoding="utf-8", errors="replace")


def test_every_form_has_a_report() -> None:
    assert all(form.report_class for form in FORMS.values())
