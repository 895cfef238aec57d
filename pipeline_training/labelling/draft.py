"""A label map being repaired: voxels change hands, names are forgotten, and every change is put in words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.errors import LabellerError
from pipeline_training.volumes import MAX_LABEL, LabelMap

TOUCHING = np.ones((3, 3, 3), np.bool_)
"""Voxels that share a face, an edge or a corner belong to one piece."""

BACKGROUND = 0


@dataclass(frozen=True, eq=False)
class Repaired:
    """A volume after an anatomical prior.

    Attributes:
        volume: What is left.
        changes: What was changed or found strange, one sentence each.
    """

    volume: LabelMap
    changes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Piece:
    """Voxels that hang together.

    Attributes:
        place: (slices, rows, columns) of each, int, shape (3, n).
        name: Structure they are labelled as; "" where they belong to several.
    """

    place: npt.NDArray[np.intp]
    name: str = ""

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(self.place.shape[1])

    @property
    def centre(self) -> npt.NDArray[np.float64]:
        """(slice, row, column), in voxels."""
        return np.asarray(self.place.mean(axis=1), np.float64)


class Draft:
    """A label map that may be changed; `finished` gives the new one."""

    def __init__(self, volume: LabelMap) -> None:
        self._volume = volume
        self.labels = volume.labels.copy()
        self.spacing_mm = volume.spacing_mm
        self._numbers = {name: number for number, name in volume.names.items()}
        self._vocabulary = set(volume.vocabulary or volume.names.values())
        self._forgotten: set[str] = set()
        self._changes: list[str] = []
        self._boxes: list[tuple[slice, ...] | None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The structures that have voxels or had some, sorted."""
        return tuple(sorted(self._numbers))

    def pieces(self, name: str) -> list[Piece]:
        """Return the connected parts of a structure, the largest first."""
        return self.pieces_of((name,), name)

    def pieces_of(self, names: Iterable[str], called: str = "") -> list[Piece]:
        """Return the connected parts of the union of several structures, the largest first."""
        numbers = [self._numbers[name] for name in names if name in self._numbers]
        if self._boxes is None:
            self._boxes = ndimage.find_objects(self.labels, max_label=MAX_LABEL)
        boxes = [box for n in numbers if (box := self._boxes[n - 1]) is not None]
        if not boxes:
            return []
        low = [min(box[axis].start for box in boxes) for axis in range(3)]
        high = [max(box[axis].stop for box in boxes) for axis in range(3)]
        region = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        table = np.zeros(MAX_LABEL + 1, np.bool_)
        table[numbers] = True
        marked, count = ndimage.label(table[self.labels[region]], structure=TOUCHING)
        places = [np.array(np.nonzero(marked[box] == i + 1)) + _origin(box, low) for i, box in
                  enumerate(ndimage.find_objects(marked)) if i < count]  # fmt: skip
        return sorted((Piece(place, called) for place in places), key=lambda piece: -piece.size)

    def name_counts(self, piece: Piece) -> dict[str, int]:
        """Return how many voxels of a piece belong to which structure."""
        counts = np.bincount(self.labels[tuple(piece.place)], minlength=MAX_LABEL + 1)
        return {name: int(counts[n]) for name, n in self._numbers.items() if counts[n]}

    def neighbours(self, piece: Piece) -> dict[str, int]:
        """Return how many voxels around a piece belong to which other structure."""
        shape = self.labels.shape
        low = np.maximum(piece.place.min(axis=1) - 1, 0)
        high = np.minimum(piece.place.max(axis=1) + 2, shape)
        region = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        inside = np.zeros([int(b - a) for a, b in zip(low, high, strict=True)], np.bool_)
        inside[tuple(piece.place - low[:, None])] = True
        around = ndimage.binary_dilation(inside, TOUCHING) & ~inside
        counts = np.bincount(self.labels[region][around], minlength=MAX_LABEL + 1)
        return {name: int(counts[n]) for name, n in self._numbers.items() if counts[n] and name != piece.name}

    def give(self, piece: Piece, name: str) -> None:
        """Give a piece to a structure; "" makes it background.

        Raises:
            LabellerError: If no number is left for a structure that had no voxels.
        """
        self.labels[tuple(piece.place)] = self.number_of(name) if name else BACKGROUND
        self._boxes = None

    def number_of(self, name: str) -> int:
        """Return the number that a structure has in `labels`; it gets one if it had none.

        Raises:
            LabellerError: If no number is left.
        """
        if name not in self._numbers:
            free = sorted(set(range(1, MAX_LABEL + 1)) - set(self._numbers.values()))
            if not free:
                raise LabellerError(f"{self._volume.case}: no number is left for {name}")
            self._numbers[name] = free[0]
            self._vocabulary.add(name)
        return self._numbers[name]

    def forget(self, name: str) -> None:
        """Make a structure unknown unless it has voxels in the end."""
        self._forgotten.add(name)

    def say(self, words: str) -> None:
        """Record a change."""
        self._changes.append(words)

    def ml(self, voxels: int) -> float:
        """Return the volume of so many voxels."""
        return voxels * self.spacing_mm**3 / 1000

    def finished(self) -> Repaired:
        """Return the repaired volume and what was changed."""
        present = set(np.unique(self.labels).tolist())
        names = {number: name for name, number in self._numbers.items() if number in present}
        vocabulary = frozenset((self._vocabulary - self._forgotten) | set(names.values()))
        made = replace(self._volume, labels=self.labels, names=names, vocabulary=vocabulary)
        return Repaired(made, tuple(self._changes))


def _origin(box: tuple[slice, ...], low: list[int]) -> npt.NDArray[np.intp]:
    return np.array([[part.start + start] for part, start in zip(box, low, strict=True)], np.intp)
