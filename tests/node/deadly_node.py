"""A node process that one kind of image kills, for a test: `python -m tests.node.deadly_node DATA COLUMNS`.

Images of so many columns kill it at once, as the kernel does when memory runs out (SIGKILL, no warning).
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from config.settings import NodeSettings, Settings, WorkerSettings
from node.assembly import build_node
from node.part import Part


class DeadlySegmenter(StandInSegmenter):
    """Segments like its parent, unless an image has the deadly number of columns."""

    def __init__(self, columns: int) -> None:
        self._columns = columns

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Segment, or die."""
        if any(radiograph.columns == self._columns for radiograph in radiographs):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().segment(radiographs)


def main() -> None:
    """Work until SIGTERM."""
    folder, columns = Path(sys.argv[1]), int(sys.argv[2])
    settings = Settings(
        node=NodeSettings(data_dir=folder, disk_reserve_mb=0),
        worker=WorkerSettings(lease_s=5.0, max_attempts=2),
    )
    build_node(settings, DeadlySegmenter(columns), parts={Part.WORK}).run_until_signal()


if __name__ == "__main__":
    main()
