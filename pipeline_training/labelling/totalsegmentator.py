"""TotalSegmentator v2 as a labeller, in a process of its own with its own environment.

Its library takes the place of its weights, and its consent to usage statistics, from the environment and a
file in the user's home. Here it gets both for this run only. It would download weights that it does not find
and delete those of its older versions: so it sees links to the folders that it needs, and no network, for
nothing is to be sent from where patients' CTs lie.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.foreign import existing, in_short, library, read_numbers, vote_of, write_ct
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.names import translate

HINT = (
    "pip install TotalSegmentator, then `totalseg_download_weights -t total` where there is a network; "
    "code and the weights of task total are under Apache-2.0, some other tasks need a licence"
)
DATASETS = {False: (291, 292, 293, 294, 295), True: (297,)}
"""Of task total, by whether the fast model of 3 mm is asked for. Source: totalsegmentator/python_api.py."""

CONFIG = {
    "totalseg_id": "",
    "send_usage_stats": False,
    "prediction_counter": 0,
    "statistics_disclaimer_shown": True,
}
NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody runs (port 9 is "discard")."""

NO_NETWORK = tuple(f"{name}={NOWHERE}" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"))


class TotalSegmentatorLabeller:
    """Runs task "total" of an installed TotalSegmentator.

    Args:
        weights: The folder that holds Dataset291_* and so on.
        fast: Whether to use the model of 3 mm, for computers without a GPU.
        device: "cpu", "gpu" or "gpu:1".
    """

    name = "TotalSegmentator"

    def __init__(self, weights: Path, fast: bool = False, device: str = "cpu") -> None:
        self._weights = existing(weights, "the folder of weights", HINT)
        self._fast, self._device = fast, device

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures of task total, in our words.

        Raises:
            LabellerError: If TotalSegmentator is not installed.
        """
        return translate(_classes()).vocabulary

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer.

        Raises:
            LabellerError: If it is not installed, weights are missing, or it fails.
        """
        classes = _classes()
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            self._link_weights(home / "weights")
            (home / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
            write_ct(home / "ct.nii.gz", volume)
            self._run(home, volume.case)
            return vote_of(self.name, volume, read_numbers(home / "labels.nii.gz"), classes)

    def _link_weights(self, links: Path) -> None:
        links.mkdir()
        for number in DATASETS[self._fast]:
            found = sorted(self._weights.glob(f"Dataset{number}_*"))
            if not found:
                raise LabellerError(f"weights are missing: no Dataset{number}_* in {self._weights}; {HINT}")
            for each in found:
                (links / each.name).symlink_to(each.resolve())

    def _run(self, home: Path, case: str) -> None:
        """Run it on ct.nii.gz; `env` adds to the environment that it inherits."""
        places = (f"TOTALSEG_WEIGHTS_PATH={home / 'weights'}", f"TOTALSEG_HOME_DIR={home}")
        begin = ("env", *places, *NO_NETWORK, sys.executable, "-m", "totalsegmentator.bin.TotalSegmentator")
        files = ("-i", str(home / "ct.nii.gz"), "-o", str(home / "labels.nii.gz"))
        how = ("--ml", "-ta", "total", "-d", self._device, "-q", *(("--fast",) if self._fast else ()))
        try:
            subprocess.run([*begin, *files, *how], check=True, capture_output=True, text=True)
        except OSError as exc:
            raise LabellerError(f"{self.name} cannot be started: {exc}") from exc
        except subprocess.CalledProcessError as exc:
            words = [line for line in exc.stderr.splitlines() if line.strip()] or ["it says nothing"]
            raise LabellerError(f"{self.name} failed on {case}: {in_short(words[-1])}; {HINT}") from exc


def _classes() -> dict[int, str]:
    module = library("totalsegmentator.map_to_binary", HINT)
    return {int(number): str(name) for number, name in module.class_map["total"].items()}
