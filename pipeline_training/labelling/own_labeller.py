"""The own labeller: a trained `ThoraxNet` on a whole CT, its answer brought back to the CT's grid."""

from pathlib import Path

import numpy as np
import torch

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.own_input import network_volume
from pipeline_training.labelling.own_network import SIZE_MULTIPLE, ThoraxNet, normalised
from pipeline_training.labelling.own_training import read_labeller

MAX_CLASSES = 255


class OwnLabeller:
    """A labeller trained by `paxnode-train train-labeller`.

    Args:
        checkpoint: Its `labeller.pt`.

    Raises:
        LabellerError: If it cannot be read.
    """

    name = "paxnode's own"

    def __init__(self, checkpoint: Path) -> None:
        stored = read_labeller(checkpoint)
        self._classes = tuple(stored["classes"])
        self._network = ThoraxNet(len(self._classes) + 1, stored["options"]["widths"])
        try:
            self._network.load_state_dict(stored["network"])
        except RuntimeError as exc:
            raise LabellerError(f"{checkpoint} does not hold the network that it describes: {exc}") from exc
        self._network.eval()

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures that it was trained for."""
        return frozenset(self._classes)

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer; confidence is the softmax of the class chosen.

        Raises:
            LabellerError: If no lungs can be found in the volume.
        """
        seen = network_volume(volume.hu, volume.spacing_mm, volume.case)
        logits = self._logits(torch.cat([normalised(seen[:1]), seen[1:]]))
        numbers, confidence = _upsampled(torch.softmax(logits, dim=0), volume.hu.shape)
        present = np.unique(numbers)
        names = {int(n): self._classes[n - 1] for n in present if n}
        return LabelVote(self.name, numbers, names, self.vocabulary, confidence)

    def _logits(self, volume: torch.Tensor) -> torch.Tensor:
        """Return (classes, slices, rows, columns) of a volume (4, slices, rows, columns) of any size."""
        shape = volume.shape[1:]
        margins = [(-n) % SIZE_MULTIPLE for n in shape]
        padding = [part for margin in reversed(margins) for part in (0, margin)]
        padded = torch.nn.functional.pad(volume[None], padding, mode="replicate")
        with torch.no_grad():
            logits = self._network(padded)[0]
        return torch.Tensor(logits[:, : shape[0], : shape[1], : shape[2]])


def _upsampled(
    shares: torch.Tensor, shape: tuple[int, ...]
) -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.float32]]
]:
    """Return the most probable class of every fine voxel, and its probability.

    Classes are brought up one after another, so that memory does not grow with their number.
    """
    numbers = np.zeros(shape, np.uint8)
    best = _fine(shares[0], shape)
    for number in range(1, len(shares)):
        if float(shares[number].max()) > 1 / len(shares):
            share = _fine(shares[number], shape)
            more = share > best
            numbers[more], best[more] = number, share[more]
    return numbers, best


def _fine(share: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    resized = torch.nn.functional.interpolate(share[None, None], size=list(shape), mode="trilinear")[0, 0]
    return np.asarray(resized.numpy(), np.float32)
