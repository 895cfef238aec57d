"""What of a set is compared: each of its structures, and both of a pair as one, as the literature does.

Published figures of lungs and of clavicles are most often those of both together (van Ginneken et al.,
Medical Image Analysis 10, 2006; Gaggion et al., IEEE TMI 42, 2023). A side alone has another Dice, the left
lung a lower one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.segmentation import Segmentation
from pipeline_training.answers import found_mask, union_of
from pipeline_training.radiograph_folders import RadiographSet, Structure

LEFT, RIGHT = "left_", "right_"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """One or both of a pair.

    Attributes:
        name: That of the mask folder, or "both lungs" of `left_lung` and `right_lung`.
        parts: The mask folders; the union is compared, where a reader looked for each of them.
    """

    name: str
    parts: tuple[Structure, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Ours whose union is compared."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.labels))

    @property
    def cutters(self) -> tuple[str, ...]:
        """Labels that our mask is cut by to be compared."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.reading.cutters))

    @property
    def note(self) -> str:
        """Where the readers' drawing differs, in words, or ""."""
        return "; ".join(dict.fromkeys(part.note for part in self.parts if part.note))

    def is_annotated(self, found: RadiographSet, image: Path) -> bool:
        """Return whether a reader looked for every part of it."""
        return all(found.mask_path(part, image) is not None for part in self.parts)

    def truth(self, found: RadiographSet, image: Path, shape: tuple[int, int] | None = None) -> Bools | None:
        """Return the reader's mask, bool (rows, columns), or None if the image was not annotated.

        Args:
            found: The set.
            image: One of its pictures.
            shape: The picture's rows and columns; None where it could not be read.

        Raises:
            RadiographSetError: If a mask cannot be read or is not of the image's shape.
        """
        if not self.is_annotated(found, image):
            return None
        masks = [mask for part in self.parts if (mask := found.truth(part, image, shape)) is not None]
        return reduce(np.logical_or, masks)

    def ours(self, segmentation: Segmentation) -> Bools:
        """Return our mask as the readers would have drawn it, bool (rows, columns)."""
        masks = [found_mask(segmentation, part) for part in self.parts]
        return reduce(np.logical_or, masks)

    def uncut(self, segmentation: Segmentation) -> Bools:
        """Return our mask as it is, bool (rows, columns)."""
        return union_of(segmentation, self.labels)


def compared_of(structures: Sequence[Structure]) -> tuple[Compared, ...]:
    """Return each structure, then each pair of them as one.

    >>> [each.name for each in compared_of([Structure("left_lung", ("a",)), Structure("right_lung", ("b",))])]
    ['left_lung', 'right_lung', 'both lungs']
    """
    alone = [Compared(structure.folder, (structure,)) for structure in structures]
    return (*alone, *_pairs(structures))


def _pairs(structures: Sequence[Structure]) -> Iterator[Compared]:
    named = {structure.folder: structure for structure in structures}
    for name, left in named.items():
        right = named.get(RIGHT + name.removeprefix(LEFT))
        if name.startswith(LEFT) and right is not None:
            yield Compared(f"both {name.removeprefix(LEFT)}s", (left, right))
