"""measurements.csv: what was measured on all inputs of one run of `paxnode segment`, a row for each value.

Described in docs/formats.md. Rows are written as the results come, those of one input at once, so that a run
that is cut short loses none. Nothing in it names the patient but, perhaps, the path that the user gave.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from ai.measurement import Measurement, NotComputed
from node.errors import StorageError
from node.pipeline import Processed

TABLE = "measurements.csv"

COLUMNS = (
    "input", "sop_instance_uid", "model", "version", "measurement", "value", "unit", "status", "reason",
    "remarks",
)  # fmt: skip

COMPUTED, NOT_COMPUTED = "computed", "not computed"
REFUSED, FAILED = "refused", "failed"
"""Values of `status`; an input that gave no result has one row, without a measurement."""


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With one of these spreadsheets begin a formula. Values of measurements are numbers and stay as they are."""


class MeasurementsTable:
    """The table in a folder, begun anew: RFC 4180, UTF-8, with a header.

    Args:
        out: The folder, made if missing.

    Raises:
        StorageError: If the file cannot be written; also of the methods.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / TABLE
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"cannot make {out}: {exc.strerror or exc}") from exc
        self._write("w", [COLUMNS])

    def add(self, path: Path, processed: Processed) -> None:
        """Write the rows of an input that was measured."""
        model = processed.segmentation.model
        uid = str(processed.source.dataset.get("SOPInstanceUID", ""))
        head = (_plain(str(path)), uid, _plain(model.id), _plain(model.version))
        self._write("a", [(*head, *_cells(result)) for result in processed.measurements])

    def add_without_result(self, path: Path, status: str, reason: str) -> None:
        """Write the row of an input that was refused or failed."""
        self._write("a", [(_plain(str(path)), "", "", "", "", "", "", status, _plain(reason), "")])

    def _write(self, mode: str, rows: Iterable[tuple[str, ...]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        content = text.getvalue().encode("utf-8", "backslashreplace")
        try:
            with self._path.open(f"{mode}b") as file:
                file.write(content)
        except OSError as exc:
            raise StorageError(f"cannot write {self._path}: {exc.strerror or exc}") from exc


def _plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: one that begins like it gets an apostrophe.

    >>> _plain("=1+1.png")
    "'=1+1.png"
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cells(result: Measurement | NotComputed) -> tuple[str, ...]:
    if isinstance(result, NotComputed):
        return (result.name, "", "", NOT_COMPUTED, result.reason, "")
    return (result.name, repr(result.value), str(result.unit), COMPUTED, "", "; ".join(result.remarks))
