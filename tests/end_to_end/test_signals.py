"""A node that is told twice to end, ends."""

import os
import signal
import time
from pathlib import Path

from node.archive import Archive
from node.connections import mend_sockets
from node.implementation import Entity
from tests.faults.parts import HOST, NodeProcess, until_it_listens
from tests.faults.rig import Rig

PATIENCE_S = 30.0
VERIFICATION = "1.2.840.10008.1.1"


def _is_caught(process: int, number: int) -> bool:
    """Return whether a process handles a signal itself."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    [caught] = [line.split()[1] for line in lines if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_second_signal_ends_a_node_at_once_whoever_is_connected(tmp_path: Path) -> None:
    number = signal.SIGINT
    mend_sockets()
    with Archive(tmp_path / "archive") as archive:
        rig = Rig(tmp_path, (), archive)
        node = NodeProcess(rig.config, tmp_path / "node.log", options=("--only", "listen"))
        until_it_listens(rig.modality.port)
        ae = Entity("MODALITY")
        ae.add_requested_context(VERIFICATION)
        association = ae.associate(HOST, rig.modality.port, ae_title="PAXNODE")
        assert association.is_established
        os.kill(node.pid, number)
        until = time.monotonic() + PATIENCE_S
        while _is_caught(node.pid, number):
            assert time.monotonic() < until, "it does not take the first signal"
            time.sleep(0.01)
        os.kill(node.pid, number)
        assert node.has_died(PATIENCE_S, number)
        association.abort()
