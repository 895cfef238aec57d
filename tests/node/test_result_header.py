from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.uid import RLELossless, SegmentationStorage

from ai.segmentation import ModelIdentity
from node.options import OutputOptions
from node.reader import Source, read_radiograph
from node.result_header import (
    REPORT,
    SEG,
    ResultKind,
    model_version,
    software_version,
    write_file_meta,
    write_header,
)

MakeDx = Callable[..., Dataset]
MODEL = ModelIdentity("chest", "1.2", "ab12" * 16)


def _source(make_dx: MakeDx, **attributes: object) -> Source:
    content = BytesIO()
    make_dx(rows=64, columns=64, **attributes).save_as(content, enforce_file_format=True)
    content.seek(0)
    return read_radiograph(content)


def _header(
    source: Source, kind: ResultKind = SEG, model: ModelIdentity = MODEL, options: OutputOptions | None = None
) -> Dataset:
    result = Dataset()
    write_header(result, kind, source, model, options or OutputOptions())
    return result


def test_the_equipment_is_this_program_and_these_weights(make_dx: MakeDx) -> None:
    header = _header(_source(make_dx))
    assert (header.Manufacturer, header.ManufacturerModelName) == ("paxnode", "chest")
    assert header.DeviceSerialNumber == "ab12" * 4
    assert list(header.SoftwareVersions) == [f"paxnode {software_version()}", "model 1.2 (ab12ab12ab12)"]


def test_other_weights_of_the_same_version_are_told_apart() -> None:
    assert model_version(MODEL) != model_version(replace(MODEL, sha256="cd" * 32))


def test_a_long_model_name_is_cut_to_what_a_long_string_holds(make_dx: MakeDx) -> None:
    header = _header(_source(make_dx), model=replace(MODEL, id="x" * 100, version="y" * 100))
    assert len(header.ManufacturerModelName) == 64
    assert all(len(version) <= 64 for version in header.SoftwareVersions)


def test_each_kind_has_a_series_of_its_own(make_dx: MakeDx) -> None:
    source, options = _source(make_dx), OutputOptions(series_number_base=700)
    seg, sr = _header(source, options=options), _header(source, REPORT, options=options)
    assert (seg.SeriesNumber, sr.SeriesNumber) == (700, 701)
    assert (seg.Modality, sr.Modality) == ("SEG", "SR")
    assert len({seg.SeriesInstanceUID, sr.SeriesInstanceUID, source.dataset.SeriesInstanceUID}) == 3


def test_the_uids_repeat_between_runs(make_dx: MakeDx) -> None:
    source = _source(make_dx)
    first, second = _header(source), _header(source)
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID


@pytest.mark.parametrize(("stated", "hours"), [("+1400", 14), ("-0930", -9.5), ("+0000", 0)])
def test_times_are_those_of_the_time_zone_of_the_source(make_dx: MakeDx, stated: str, hours: float) -> None:
    header = _header(_source(make_dx, TimezoneOffsetFromUTC=stated))
    written = datetime.strptime(header.ContentDate + header.ContentTime, "%Y%m%d%H%M%S")
    expected = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=hours)
    assert abs(written - expected) < timedelta(minutes=1)
    assert header.TimezoneOffsetFromUTC == stated


def test_a_malformed_time_zone_is_left_out(make_dx: MakeDx) -> None:
    header = _header(_source(make_dx, TimezoneOffsetFromUTC="CET"))
    assert "TimezoneOffsetFromUTC" not in header
    assert header.ContentTime


def test_the_file_meta_information_names_the_object_and_its_transfer_syntax() -> None:
    result = Dataset()
    result.SOPClassUID, result.SOPInstanceUID = SegmentationStorage, "2.25.5"
    write_file_meta(result, RLELossless)
    assert result.file_meta.MediaStorageSOPClassUID == SegmentationStorage
    assert result.file_meta.MediaStorageSOPInstanceUID == "2.25.5"
    assert result.file_meta.TransferSyntaxUID == RLELossless
