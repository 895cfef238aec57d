"""Looking at a process from outside while a proof runs: its memory, its threads, its children."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Watch:
    """Looks at the node from outside, several times a second.

    Attributes:
        node_mb: Resident memory of the node, oldest first.
        decoder_mb: The same of the largest of its children.
        threads: Most threads that it had.
    """

    pid: int
    node_mb: list[float] = field(default_factory=list)
    decoder_mb: list[float] = field(default_factory=list)
    threads: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until it is done."""
        while not self.done.wait(0.2):
            with suppress(OSError, ValueError):
                self._look()

    def _look(self) -> None:
        mine = _status(self.pid)
        self.node_mb.append(mine["VmRSS"])
        self.threads = max(self.threads, int(mine["Threads"]))
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        children = [int(word) for task in tasks for word in task.read_text().split()]
        self.decoder_mb.append(max((_status(child)["VmRSS"] for child in children), default=0.0))


def _status(pid: int) -> dict[str, float]:
    """Return memory in MB, and the number of threads."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    wanted = {"VmRSS:": 1024.0, "Threads:": 1.0}
    found = {words[0].strip(":"): int(words[1]) / wanted[words[0]] for words in lines if words[0] in wanted}
    return {"VmRSS": 0.0, "Threads": 0.0} | found
