"""What every proof of an installation does with its node: send the sample, and wait for the results."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from config.settings import Destination
from node.archive import Archive
from node.outcome import Verdict
from node.transport import DimseTransport, Outgoing
from tests.faults.count import Count
from tests.faults.parts import HOST

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "node" / "sample" / "radiograph.dcm"
UID = 10001
"""The user of the image."""

RESULTS = {SegmentationStorage: 1, Comprehensive3DSRStorage: 2}
"""What the profile "standard" makes of one image."""

LONGEST_S = 300.0

SETTINGS = """
[node]
host = "{host}"
port = {port}
{more}
[web]
port = {web_port}
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "{host}"
port = {archive_port}
"""


def settings(port: int, web_port: int, archive: Archive, more: str = "") -> str:
    """Return a settings file of a node that sends to the archive; more lines of `[node]` can be given."""
    return SETTINGS.format(host=HOST, port=port, web_port=web_port, archive_port=archive.port, more=more)


def until(is_so: Callable[[], bool], timeout_s: float = LONGEST_S) -> float:
    """Wait until something is so, or the time is up; return the seconds that it took."""
    began = time.monotonic()
    while not is_so() and time.monotonic() - began < timeout_s:
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)


def sent_and_answered(port: int, archive: Archive) -> list[Count]:
    """Send the sample to a node, and count what comes back."""
    began = time.monotonic()
    node = Destination(name="node", ae_title="PAXNODE", host=HOST, port=port)
    outcomes = list(DimseTransport("MODALITY").send(node, [Outgoing("sample", SAMPLE)]))
    archive.wait_for(sum(RESULTS.values()), LONGEST_S)
    classes = Counter(arrival.sop_class_uid for arrival in archive.arrivals)
    return [
        Count.equal("images stored by C-STORE", sum(o.verdict is Verdict.STORED for o in outcomes), 1),
        Count.equal("Segmentations at the archive", classes[SegmentationStorage], 1),
        Count.equal("Structured Reports at the archive", classes[Comprehensive3DSRStorage], 2),
        Count("seconds from sending to the last result", round(time.monotonic() - began, 1)),
    ]


def bounds_of(pid: int, uid: int) -> list[Count]:
    """Count what the kernel says of a process that must not be able to do much."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return [
        Count.equal("its user", int(told["Uid"].split()[0]), uid),
        Count.none("its effective capabilities", int(told["CapEff"], 16)),
        Count.none("capabilities that it could get", int(told["CapBnd"], 16)),
        Count.equal("NoNewPrivs", int(told["NoNewPrivs"]), 1),
        Count.equal("Seccomp (2: a filter)", int(told["Seccomp"]), 2),
    ]
