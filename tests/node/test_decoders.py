"""Decoders that crash, hang, devour memory or lie cost one image, and nothing is left of them."""

import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest

from node.decoder_program import FRAME
from node.decoders import DecoderFailedError, Decoders
from node.errors import NodeError

BROKEN = (sys.executable, "-I", str(Path(__file__).with_name("broken_decoder.py")))
MEMORY = 2_000_000_000


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """Whatever other tests in this process have left running, these leave nothing more."""
    before = _children()
    yield
    assert _children() <= before, "a process is left"


@pytest.fixture
def broken() -> Iterator[Decoders]:
    gc.collect()  # what earlier tests left open may close meanwhile, and is not counted here
    before = len(os.listdir("/proc/self/fd"))
    decoders = Decoders(BROKEN, time_s=20.0, memory_bytes=MEMORY)
    yield decoders
    decoders.close()
    assert len(os.listdir("/proc/self/fd")) <= before, "a descriptor leaked"


def _children() -> set[int]:
    lists = Path("/proc/self/task").glob("*/children")
    return {int(child) for children in lists for child in children.read_text().split()}


def _works(decoders: Decoders) -> bool:
    return decoders.decode({}, b"\1\2\3").tobytes() == b"\1\2\3"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("abort", r"the decoder ended with signal 6 \(SIGABRT\)"),
        ("read null", r"the decoder ended with signal 11 \(SIGSEGV\)"),
        ("exit", "the decoder ended with status 3"),
        ("devour", "it needs more memory than a decoder may take"),
        ("raise", "not such a codestream"),
        ("lie", "the decoder answered with no picture"),
    ],
)
def test_image_at_which_a_decoder_fails_is_told_and_the_next_is_decoded(
    broken: Decoders, what: str, told: str
) -> None:
    assert _works(broken)
    with pytest.raises(DecoderFailedError, match=told):
        broken.decode({"do": what}, b"")
    assert _works(broken)


def test_decoder_that_hangs_is_ended_in_time() -> None:
    decoders = Decoders(BROKEN, time_s=0.3, memory_bytes=MEMORY)
    with pytest.raises(DecoderFailedError, match=r"the decoder did not end within 0\.3 s"):
        decoders.decode({"do": "hang"}, b"")
    decoders.close()


def test_decoder_whose_node_is_gone_ends_by_an_alarm_or_with_its_input() -> None:
    decoding = subprocess.Popen([*BROKEN, "2e9", "1e9", "-4.8"], stdin=PIPE, stdout=PIPE)  # 0.2 s
    waiting = subprocess.Popen([*BROKEN, "2e9", "1e9", "20"], stdin=PIPE, stdout=PIPE)
    assert decoding.stdin is not None
    header = b'{"do": "hang", "memory": 2000000000}'
    decoding.stdin.write(FRAME.pack(len(header), 0) + header)
    decoding.stdin.flush()
    with decoding, waiting:
        waiting.communicate(timeout=20)
        assert waiting.returncode == 0
        assert decoding.wait(20) == -signal.SIGALRM


def test_decoder_that_is_killed_between_images_is_replaced(broken: Decoders) -> None:
    assert _works(broken)
    [pid] = broken.processes()
    os.kill(pid, signal.SIGKILL)
    assert _works(broken)
    assert broken.processes() != (pid,)


def test_image_whose_decoder_others_kill_is_decoded_by_another(broken: Decoders, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert broken.decode({"do": "be killed once", "mark": str(mark)}, b"\7").tolist() == [[7]]
    assert mark.exists()


def test_two_threads_decode_at_once(broken: Decoders) -> None:
    def decode(number: int) -> bool:
        content = bytes([number]) * 300_000
        return bool((broken.decode({}, content[:60_000]) == number).all())

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(decode, range(40)))
    assert 1 <= len(broken.processes()) <= 2


def test_decoder_is_replaced_after_some_images() -> None:
    decoders = Decoders(BROKEN, memory_bytes=MEMORY, images=2)
    assert _works(decoders)
    first = decoders.processes()
    assert _works(decoders)
    assert decoders.processes() == ()
    assert _works(decoders)
    assert decoders.processes() != first
    decoders.close()


def test_decoder_sees_no_socket_of_the_node_and_none_of_its_environment(broken: Decoders) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        told = broken.decode({"do": "tell"}, b"").tobytes().decode()
    [pid] = broken.processes()
    assert told == "[]"
    names = {each.split(b"=")[0] for each in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if each}
    assert names == {b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS"}


def test_decoder_has_limits(broken: Decoders) -> None:
    assert _works(broken)
    [pid] = broken.processes()
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    found = {line[:26].strip(): line[26:].split()[0] for line in limits}
    assert found["Max core file size"] == "0"
    assert found["Max address space"] == str(MEMORY + 48)  # of one sample, for want of a size
    assert int(found["Max file size"]) < 1_000_000_000


@pytest.mark.parametrize("program", [("/no/such/program",), (sys.executable, "-c", "1")])
def test_decoder_that_cannot_be_started_is_no_fault_of_the_image(program: tuple[str, ...]) -> None:
    with pytest.raises(NodeError, match="the pixel decoder cannot be started"):
        Decoders(program).decode({}, b"")


def test_large_picture_comes_back_whole(broken: Decoders) -> None:
    content = np.random.default_rng(0).integers(0, 256, 60_000, np.uint8).tobytes()
    assert broken.decode({}, content).tobytes() == content
