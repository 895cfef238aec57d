"""Log lines tell what happened and hold nothing about a patient."""

import errno
import io
import json
import logging
import subprocess
import sys

import pytest
from pydicom import Dataset

from node.logs import KEYS, MAX_FRAMES, admit, configure_logs, frames_of, get_logger, place_of

CANARY = "CANARY^PATIENT"


def _read(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_line_is_a_json_object_with_time_and_level(lines: io.StringIO) -> None:
    get_logger().info("image received", job_id=7, sop_instance_uid="1.2.3", seconds=0.25)
    (line,) = _read(lines)
    assert line.pop("timestamp")
    assert line == {
        "event": "image received",
        "level": "info",
        "job_id": 7,
        "sop_instance_uid": "1.2.3",
        "seconds": 0.25,
    }


@pytest.mark.parametrize(
    "values",
    [
        {"patient_name": CANARY},
        {"sop_instance_uid": CANARY},
        {"study_instance_uid": CANARY},
        {"job_id": CANARY},
        {"destination": CANARY},
        {"error": CANARY},
        {"state": CANARY},
        {"status": CANARY},
        {"place": CANARY},
        {"count": Dataset()},
    ],
)
def test_unknown_key_or_value_of_another_shape_is_withheld(
    lines: io.StringIO, values: dict[str, object]
) -> None:
    get_logger().error("image received", **values)
    (line,) = _read(lines)
    assert line["withheld"] == 1
    assert set(line) == {"event", "level", "timestamp", "withheld"}


def test_event_that_is_no_phrase_of_ours_is_withheld(lines: io.StringIO) -> None:
    get_logger().warning(f"cannot read {CANARY}")
    assert CANARY not in lines.getvalue()


def test_exception_and_positional_values_do_not_get_out(lines: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        get_logger().error("a step failed", exc_info=True, stack_info=True, place=place_of(error))
    assert CANARY not in lines.getvalue()
    assert "test_logs.py:" in str(_read(lines)[0]["place"])


@pytest.mark.parametrize("library", ["pydicom", "highdicom.seg", "sqlalchemy.engine", "py.warnings"])
def test_message_of_a_library_is_reduced_to_who_spoke(lines: io.StringIO, library: str) -> None:
    logging.getLogger(library).warning("Invalid value for PN: %s", CANARY)
    (line,) = _read(lines)
    assert line["library"] == library
    assert line["level"] == "warning"
    assert CANARY not in lines.getvalue()


def test_pynetdicom_says_nothing(lines: io.StringIO) -> None:
    logging.getLogger("pynetdicom.assoc").error("(0010,0010) PN [%s]", CANARY)
    assert lines.getvalue() == ""


def test_python_warnings_do_not_reach_standard_error() -> None:
    script = (
        "from node.logs import configure_logs; configure_logs('DEBUG')\n"
        "import warnings; from pydicom import Dataset\n"
        f"d = Dataset(); d.PatientBirthDate = '{CANARY}'; d.AccessionNumber = '{CANARY * 9}'\n"
        f"warnings.warn('{CANARY}')\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert CANARY not in run.stderr + run.stdout


def test_level_leaves_out_lesser_lines(lines: io.StringIO) -> None:
    configure_logs("ERROR", "console", lines)
    get_logger().warning("disk is nearly full")
    get_logger().error("disk is full", bytes=5)
    assert "nearly" not in lines.getvalue()
    assert "disk is full" in lines.getvalue()


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_log_that_cannot_be_written_does_not_stop_the_node(lines: io.StringIO) -> None:
    configure_logs("INFO", "json", Full())
    get_logger().info("node started")
    assert not lines.getvalue()


def test_every_key_admits_no_line_break_and_no_name() -> None:
    assert not [key for key, pattern in KEYS.items() if pattern.fullmatch("a\nb")]
    assert [key for key, pattern in KEYS.items() if pattern.fullmatch(CANARY)] == [
        "calling_ae_title",  # what a modality is called; PS3.5 6.2 allows these characters
        "called_ae_title",
    ]
    assert admit(None, "info", {"event": "a\nb"}) == {"withheld": 1}


def test_frames_of_an_error_lead_to_its_cause_and_quote_nothing() -> None:
    def inner() -> None:
        raise KeyError("CANARY")

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ValueError("CANARY again") from error

    with pytest.raises(ValueError, match="CANARY") as caught:
        outer()
    frames = frames_of(caught.value).splitlines()

    assert frames[-1].startswith("node/test_logs.py:")
    assert [frame.split()[1] for frame in frames[-3:]] == ["outer", "outer", "inner"]
    assert "CANARY" not in frames_of(caught.value)


def test_frames_of_a_deep_error_are_the_innermost() -> None:
    def dive(depth: int) -> None:
        if depth == 0:
            raise ValueError
        dive(depth - 1)

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - any will do
        dive(2 * MAX_FRAMES)
    frames = frames_of(caught.value).splitlines()

    assert (len(frames), {frame.split()[1] for frame in frames}) == (MAX_FRAMES, {"dive"})
