import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import OutOfSpaceError, StorageError
from node.spool import MEGABYTE, OWNER_FILE, Spool

CONTENT = b"\x08\x00\x16\x00" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "data").prepare()


@pytest.fixture
def _files_of_at_most_a_megabyte() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_kept_object_lies_below_its_digest_with_its_header(spool: Spool) -> None:
    incoming = spool.begin(b"header")
    incoming.write(CONTENT[:100])
    incoming.write(CONTENT[100:])

    kept = incoming.keep()

    assert (kept.path, kept.digest) == (f"objects/{DIGEST[:2]}/{DIGEST}.dcm", DIGEST)
    assert spool.path(kept.path).read_bytes() == b"header" + CONTENT
    assert (incoming.size, incoming.header_size) == (len(CONTENT), 6)
    assert files(spool.root) == [kept.path]


def test_encoding_makes_the_same_bytes_another_object(spool: Spool) -> None:
    digests = set()
    for encoding in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", ""):
        incoming = spool.begin(encoding=encoding)
        incoming.write(CONTENT)
        digests.add(incoming.keep().digest)

    assert len(digests) == 3


def test_result_is_durable_before_its_place_is_told(spool: Spool, disk: list[str]) -> None:
    spool.store_result(CONTENT)

    assert [re.sub(r"[0-9a-f]{32,}", "*", step.replace(f"{spool.root}/", "")) for step in disk] == [
        "fsync incoming/*.dcm",
        "fsync results",
        f"rename incoming/*.dcm results/{DIGEST[:2]}/*.dcm",
        f"fsync results/{DIGEST[:2]}",
    ]


def test_folder_is_synced_until_its_name_is_durable(spool: Spool, disk: list[str]) -> None:
    def kept() -> int:
        """Keep the same content again; return how often the folder of its folder was synced."""
        disk.clear()
        spool.store_result(CONTENT)
        return disk.count(f"fsync {spool.root}/results")

    assert [kept(), kept(), kept()] == [1, 0, 0]
    shutil.rmtree(spool.root / "results" / DIGEST[:2])
    assert [kept(), kept()] == [1, 0]


def test_object_that_is_not_kept_is_nowhere_but_in_incoming(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(CONTENT)

    assert [name.split("/")[0] for name in files(spool.root)] == ["incoming"]

    incoming.discard()
    assert files(spool.root) == []


def test_discard_after_keep_is_harmless(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(CONTENT)
    kept = incoming.keep()

    incoming.discard()

    assert files(spool.root) == [kept.path]


def test_same_content_is_kept_once_and_its_file_counts_as_new(spool: Spool) -> None:
    first = spool.begin()
    first.write(CONTENT)
    path = spool.path(first.keep().path)
    os.utime(path, (1, 1))
    before = path.stat()
    second = spool.begin()
    second.write(CONTENT)

    with path.open("rb") as reader:
        second.keep()
        assert reader.read() == CONTENT, "whoever reads it goes on"

    assert path.stat().st_mtime > before.st_mtime  # and nobody removes it before the row is written
    assert len(files(spool.root)) == 1


def test_a_file_that_was_damaged_is_whole_again_when_its_content_comes_again(spool: Spool) -> None:
    first = spool.begin()
    first.write(CONTENT)
    kept = first.keep()
    os.truncate(spool.path(kept.path), 100)
    second = spool.begin()
    second.write(CONTENT)

    assert second.keep() == kept
    assert spool.content(kept.path, len(CONTENT) + 1) == CONTENT


def test_disk_below_its_reserve_takes_no_object_but_results(tmp_path: Path) -> None:
    free_mb = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize // MEGABYTE
    spool = Spool(tmp_path, disk_reserve_mb=free_mb * 2).prepare()

    with pytest.raises(OutOfSpaceError, match=f"{free_mb * 2} MB are reserved"):
        spool.begin()

    assert spool.path(spool.store_result(CONTENT).path).read_bytes() == CONTENT


@pytest.mark.usefixtures("_files_of_at_most_a_megabyte")
def test_disk_that_fills_up_is_told_and_nothing_is_left(spool: Spool) -> None:
    incoming = spool.begin()

    with pytest.raises(OutOfSpaceError):
        incoming.write(bytes(3 * MEGABYTE))
    incoming.discard()

    assert files(spool.root) == []


@pytest.mark.usefixtures("_files_of_at_most_a_megabyte")
def test_result_that_does_not_fit_is_told_and_nothing_is_left(spool: Spool) -> None:
    with pytest.raises(OutOfSpaceError):
        spool.store_result(bytes(2 * MEGABYTE))

    assert files(spool.root) == []


def test_result_is_kept_by_its_content(spool: Spool) -> None:
    kept = spool.store_result(CONTENT)

    assert spool.store_result(CONTENT) == kept
    assert files(spool.root) == [f"results/{DIGEST[:2]}/{DIGEST}.dcm"]


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="Not a directory"):
        Spool(tmp_path / "file").prepare()


def test_recovery_removes_what_a_killed_process_was_writing(spool: Spool) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        from node.spool import Spool

        spool = Spool(Path(sys.argv[1]))
        whole = spool.begin()
        whole.write(b"whole")
        whole.keep()
        torn = spool.begin()
        torn.write(bytes(100_000))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(spool.root)]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == -9
    assert len(files(spool.root)) == 2

    assert spool.recover() == 1

    whole = hashlib.sha256(b"whole").hexdigest()
    assert files(spool.root) == [f"objects/{whole[:2]}/{whole}.dcm"]


def test_recovery_leaves_what_another_process_is_writing(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(CONTENT)

    assert spool.recover() == 0

    assert incoming.keep().digest == DIGEST


def test_content_is_read_up_to_a_limit(spool: Spool) -> None:
    kept = spool.store_result(CONTENT)

    assert spool.content(kept.path, len(CONTENT) + 1) == CONTENT
    assert spool.content(kept.path, 10) == CONTENT[:10]


def test_result_in_pieces_is_the_same_file(spool: Spool) -> None:
    whole = spool.store_result(CONTENT)

    assert spool.store_result(CONTENT[:3], b"", CONTENT[3:]) == whole
    assert spool.path(whole.path).read_bytes() == CONTENT


def test_file_that_is_gone_is_told_apart_from_a_folder_that_is_away(spool: Spool) -> None:
    spool.set_owner("ours", 1)
    spool.expect("ours")
    with pytest.raises(FileNotFoundError):
        spool.content("objects/aa/gone.dcm", 10)

    (spool.root / OWNER_FILE).unlink()

    with pytest.raises(StorageError, match="the data folder is away"):
        spool.content("objects/aa/gone.dcm", 10)


def test_another_folder_in_the_place_of_ours_is_told(spool: Spool) -> None:
    spool.expect("ours")
    spool.set_owner("another's", 1)

    with pytest.raises(StorageError, match="another data folder"):
        spool.check_there()


def test_file_that_the_disk_does_not_give_is_its_own_trouble_while_the_folder_is_there(spool: Spool) -> None:
    spool.set_owner("ours", 1)
    spool.expect("ours")
    (spool.root / "objects" / "folder.dcm").mkdir()

    with pytest.raises(IsADirectoryError):
        spool.content("objects/folder.dcm", 10)

    spool.expect("another")
    with pytest.raises(StorageError):
        spool.content("objects/folder.dcm", 10)


def test_owner_is_durable_when_it_is_told(spool: Spool, disk: list[str]) -> None:
    spool.set_owner("ours", 1)

    assert [re.sub(r"[0-9a-f]{32,}", "*", step.replace(f"{spool.root}", "")) for step in disk] == [
        "fsync /incoming/*.dcm",
        f"rename /incoming/*.dcm /{OWNER_FILE}",
        "fsync ",
    ]
    assert files(spool.root) == [OWNER_FILE]


@pytest.mark.parametrize("content", [b"", b"\n", b"ours", b"ours 1", bytes(20)])
def test_owner_file_that_a_power_cut_left_empty_or_torn_says_nothing(spool: Spool, content: bytes) -> None:
    (spool.root / OWNER_FILE).write_bytes(content)

    assert spool.owner() is None


def test_spool_makes_nothing_before_it_is_prepared(tmp_path: Path) -> None:
    Spool(tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_nothing_is_received_into_a_folder_that_is_away(spool: Spool) -> None:
    spool.set_owner("ours", 1)
    spool.expect("ours")
    incoming = spool.begin()
    incoming.write(CONTENT)
    (spool.root / OWNER_FILE).unlink()

    for refused in (spool.begin, incoming.keep, lambda: spool.store_result(CONTENT)):
        with pytest.raises(StorageError, match="the data folder is away"):
            refused()
    incoming.discard()

    assert files(spool.root) == []
