"""How long each stage took, and how much memory the process needed at most."""

import resource
import sys
from collections import defaultdict
from collections.abc import Mapping

NETWORK_STAGES = ("preprocess", "inference", "postprocess")
"""Parts of "segment", where the segmenter tells them."""

STAGES = ("read", "judge", *NETWORK_STAGES, "segment", "measure", "write", "files", "overlay", "formats")
"""In the order in which they run; "write" makes the SEG and the SR, "files" puts them on disk, "formats" what
else was asked for."""


class StageTimes:
    """Collects seconds by stage over all images."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def observe(self, stage: str, seconds: float) -> None:
        """Record that a stage took so long for one image."""
        self._seconds[stage].append(seconds)

    def observe_all(self, seconds: Mapping[str, float]) -> None:
        """Record several stages of one image."""
        for stage, value in seconds.items():
            self.observe(stage, value)

    def rows(self) -> list[tuple[str, float, float]]:
        """Return (stage, mean seconds for an image, longest) in the order in which the stages run.

        Where the parts of "segment" are known they stand in its place.
        """
        told = "inference" in self._seconds
        stages = [stage for stage in STAGES if stage in self._seconds and not (told and stage == "segment")]
        seconds = [(stage, self._seconds[stage]) for stage in stages]
        return [(stage, sum(values) / len(values), max(values)) for stage, values in seconds]


def peak_memory_mb() -> float:
    """Return the largest resident set of this process so far, in MB (10^6 bytes).

    Source: getrusage(2): ru_maxrss counts KiB on Linux and bytes on macOS.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
