import csv
import re
from pathlib import Path

import pytest
from pydicom import dcmread

from ai.measurement import Drawing, Measurement, Measurements, NotComputed, Unit
from ai.stand_in import StandInSegmenter
from node.errors import StorageError
from node.measurements_table import COLUMNS, MeasurementsTable
from node.options import OutputOptions
from node.pipeline import Processed, process

LINE = (Drawing("line", ((0, 0), (1, 1))),)


@pytest.fixture
def processed(dx_file: Path) -> Processed:
    return process(dx_file, StandInSegmenter(), OutputOptions(seg="none", report="none"))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "measurements.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def with_results(processed: Processed, *results: Measurement | NotComputed) -> Processed:
    source, found = processed.source, processed.segmentation
    return Processed(source, found, Measurements(results))


def test_every_measurement_has_a_row(tmp_path: Path, processed: Processed, dx_file: Path) -> None:
    MeasurementsTable(tmp_path).add(dx_file, processed)
    found = rows(tmp_path)

    assert [row["measurement"] for row in found] == [result.name for result in processed.measurements]
    assert {row["input"] for row in found} == {str(dx_file)}
    assert {row["sop_instance_uid"] for row in found} == {dcmread(dx_file).SOPInstanceUID}
    assert {(row["model"], row["version"]) for row in found} == {("stand-in", "1")}
    for row in found:
        result = processed.measurements[row["measurement"]]
        if isinstance(result, Measurement):
            assert row["status"] == "computed"
            assert float(row["value"]) == result.value
            assert (row["unit"], row["reason"]) == (result.unit, "")
        else:
            assert row["status"] == "not computed"
            assert (row["value"], row["unit"], row["reason"]) == ("", "", result.reason)
    assert {row["status"] for row in found} == {"computed", "not computed"}


def test_table_is_that_of_rfc_4180(tmp_path: Path, processed: Processed) -> None:
    remarks = ('he said "large", twice', "line\nbreak")
    measured = Measurement("heart width", 1 / 3, Unit.MILLIMETRE, LINE, (), remarks)
    MeasurementsTable(tmp_path).add(Path("a,b.png"), with_results(processed, measured))
    content = (tmp_path / "measurements.csv").read_bytes()
    [row] = rows(tmp_path)

    assert content.startswith(",".join(COLUMNS).encode() + b"\r\n")
    assert content.endswith(b'"he said ""large"", twice; line\nbreak"\r\n')
    assert row["input"] == "a,b.png"
    assert row["remarks"] == "; ".join(remarks)
    assert float(row["value"]) == 1 / 3


def test_rows_stand_in_the_file_as_soon_as_they_are_added(tmp_path: Path, processed: Processed) -> None:
    table = MeasurementsTable(tmp_path)
    assert rows(tmp_path) == []
    table.add(Path("one.png"), with_results(processed, NotComputed("heart area", "no pixel spacing")))
    assert len(rows(tmp_path)) == 1
    table.add_without_result(Path("two.png"), "refused", "the picture looks like a lateral view")
    assert [row["status"] for row in rows(tmp_path)] == ["not computed", "refused"]


def test_table_is_begun_anew(tmp_path: Path, processed: Processed) -> None:
    for _ in range(2):
        MeasurementsTable(tmp_path).add_without_result(Path("two.png"), "failed", "broken")

    assert len(rows(tmp_path)) == 1


def test_nothing_of_the_patient_is_in_it(tmp_path: Path, processed: Processed) -> None:
    MeasurementsTable(tmp_path).add(Path("x.dcm"), processed)
    content = (tmp_path / "measurements.csv").read_text()

    assert not re.search("SYNTHETIC-1|Synthetic|19600101|20250102", content)


def test_name_that_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    MeasurementsTable(tmp_path).add_without_result(Path("film\udce9.png"), "failed", "broken")

    assert rows(tmp_path)[0]["input"] == "film\\udce9.png"


def test_table_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "measurements.csv").mkdir()

    with pytest.raises(StorageError, match=r"measurements\.csv"):
        MeasurementsTable(tmp_path)
