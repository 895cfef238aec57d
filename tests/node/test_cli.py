import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image
from pydicom import Dataset

from node.cli import main
from node.model import STAND_IN


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def paxnode(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["paxnode", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


def test_segment_times_each_stage(paxnode: Run, tmp_path: Path, dx_file: Path) -> None:
    done = paxnode("segment", dx_file, "--out", tmp_path / "out", "--bundle", STAND_IN, "--times")

    assert done.status == 0
    for words in ("read", "measure", "write", "overlay", "peak memory", "1 of 1 segmented"):
        assert words in done.out


def test_segment_tells_by_its_status_that_one_of_two_failed(
    paxnode: Run, tmp_path: Path, dx_file: Path
) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(bytes(500))
    done = paxnode("segment", bad, dx_file, "--out", tmp_path / "out", "--bundle", STAND_IN)

    assert done.status == 1
    assert "1 of 2 segmented" in done.out
    assert f"failed: {bad}" in done.out


def test_segment_tells_what_it_refuses_from_what_fails(
    paxnode: Run, tmp_path: Path, make_dx: Callable[..., Dataset]
) -> None:
    ct = tmp_path / "ct.dcm"
    make_dx(Modality="CT").save_as(ct, enforce_file_format=True)
    done = paxnode("segment", ct, "--out", tmp_path / "out", "--bundle", STAND_IN)

    assert done.status == 1
    assert f"refused: {ct}: Modality 'CT'" in done.out


def test_segment_replaces_results_only_when_told_to(paxnode: Run, tmp_path: Path, dx_file: Path) -> None:
    words = ("segment", dx_file, "--out", tmp_path / "out", "--bundle", STAND_IN)
    assert paxnode(*words).status == 0
    [overlay] = (tmp_path / "out").glob("*/overlay.png")
    overlay.write_text("mine")
    again = paxnode(*words)

    assert again.status == 2
    assert "--force" in again.err
    assert overlay.read_text() == "mine"
    assert paxnode(*words, "--force").status == 0
    assert overlay.read_bytes().startswith(b"\x89PNG")


def test_segment_of_a_folder_without_dicom_says_so(paxnode: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    done = paxnode("segment", tmp_path, "--out", tmp_path / "out", "--bundle", STAND_IN)

    assert done.status == 1
    assert "no DICOM file" in done.err
    assert "notes.txt" in done.out


def test_segment_takes_pictures_beside_dicom_and_writes_what_is_asked_for(
    paxnode: Run, tmp_path: Path, dx_file: Path, make_dx: Callable[..., Dataset]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = make_dx().pixel_array
    Image.fromarray(pixels).save(folder / "sixteen.png")
    Image.fromarray((pixels // 16).astype("u1")).save(folder / "eight.jpg")
    dx_file.rename(folder / "object.dcm")
    (folder / "broken.png").write_bytes((folder / "sixteen.png").read_bytes()[:200])
    (folder / "notes.txt").write_text("nothing here")
    out = tmp_path / "out"
    words = ("segment", folder, "--out", out, "--bundle", STAND_IN, "--format", "npz,png", "--format", "csv")
    done = paxnode(*words, "--spacing", "1.4")

    assert done.status == 1
    assert "3 of 4 segmented" in done.out
    assert f"failed: {folder / 'broken.png'}: cannot be decoded" in done.out
    assert "notes.txt" in done.out
    for name in ("sixteen", "eight", "object"):
        assert (out / name / "masks.npz").exists()
        assert (out / name / "masks" / "heart.png").exists()
        assert not (out / name / "coco.json").exists()
    before = (out / "measurements.csv").read_text()
    assert before.count("cardiothoracic ratio") >= 3
    assert paxnode(*words, "--force").status == 1
    assert (out / "measurements.csv").read_text().count("cardiothoracic") == before.count("cardiothoracic")


def test_segment_does_not_write_over_a_table(paxnode: Run, tmp_path: Path, dx_file: Path) -> None:
    (tmp_path / "measurements.csv").write_text("mine")
    done = paxnode("segment", dx_file, "--out", tmp_path, "--bundle", STAND_IN, "--format", "csv")

    assert done.status == 2
    assert "measurements.csv" in done.err
    assert (tmp_path / "measurements.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--format", "nzp", "'npz'"),
        ("--spacing", "wide", "MM or ROW,COLUMN"),
        ("--spacing", "0.2", "every input is a DICOM object"),
    ],
)
def test_segment_names_an_option_that_is_wrong(
    paxnode: Run, tmp_path: Path, dx_file: Path, option: str, value: str, words: str
) -> None:
    done = paxnode("segment", dx_file, "--out", tmp_path / "out", "--bundle", STAND_IN, option, value)

    assert done.status == 2
    assert words in done.err
    assert option in done.err
    assert not (tmp_path / "out").exists()


def test_segment_of_a_missing_path_is_wrong_usage(paxnode: Run, tmp_path: Path) -> None:
    assert paxnode("segment", tmp_path / "nowhere", "--out", tmp_path / "out").status == 2


def test_missing_bundle_is_one_sentence(paxnode: Run, tmp_path: Path, dx_file: Path) -> None:
    done = paxnode("segment", dx_file, "--out", tmp_path / "out", "--bundle", tmp_path / "none")

    assert done.status == 1
    assert done.err.startswith("paxnode: ")
    assert len(done.err.strip().splitlines()) == 1
    assert str(tmp_path / "none") in done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[node]\nprot = 104\n", ("line 2", "'prot'", "'port'")),
        ("[node]\nport = 99999\n", ("line 2", "'port'", "99999")),
        ("[nodes]\n", ("line 1", "[nodes]", "'node'")),
        ("[node\n", ("is not TOML",)),
    ],
)
@pytest.mark.parametrize("command", ["serve", "check"])
def test_wrong_settings_end_in_one_sentence_and_status_2(
    paxnode: Run, tmp_path: Path, command: str, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "my-node.toml"
    file.write_text(text)
    done = paxnode(command, "--config", file)

    assert done.status == 2
    assert len(done.err.strip().splitlines()) == 1
    for word in (str(file), *words):
        assert word in done.err


def settings(tmp_path: Path, port: int, **more: str) -> Path:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\nhost = "127.0.0.1"\nport = {port}\ndata_dir = "{tmp_path / "data"}"\ndisk_reserve_mb = 0\n'
        f'[model]\nbundle = "{STAND_IN}"\n{more.get("after", "")}'
    )
    return file


def test_check_of_good_settings_is_all_ok(paxnode: Run, tmp_path: Path) -> None:
    done = paxnode("check", "--config", settings(tmp_path, 0))

    assert done.status == 0
    assert "failed" not in done.out


def test_check_names_the_destination_that_cannot_be_reached(paxnode: Run, tmp_path: Path) -> None:
    pacs = '[[destination]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1\n'
    done = paxnode("check", "--config", settings(tmp_path, 0, after=pacs))

    assert done.status == 1
    assert "destination pacs: no connection to PACS at 127.0.0.1:1" in done.out


def test_retry_of_an_unknown_job_is_one_sentence(paxnode: Run, tmp_path: Path) -> None:
    done = paxnode("jobs", "retry", "7", "--config", settings(tmp_path, 0))

    assert done.status == 1
    assert "there is no job 7" in done.err


def test_version_is_told_without_what_does_the_work() -> None:
    code = (
        "import sys; from node.cli import main\n"
        "sys.argv[1:] = ['--version']\n"
        "try: main()\n"
        "finally: assert not {'sqlalchemy', 'highdicom', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"paxnode {version('paxnode')}\n", "")


def test_serve_ends_with_status_0_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "node.cli", "serve", "--config", str(settings(tmp_path, 0))]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as node:
        assert node.stderr is not None
        started = next(line for line in node.stderr if "node started" in line)
        node.send_signal(signal.SIGTERM)
        assert node.wait(60) == 0
        assert "node stopped" in node.stderr.read()
    assert '"port"' in started
