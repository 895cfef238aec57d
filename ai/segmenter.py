"""The one-method edge between the node and whatever finds the anatomy."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ai.radiograph import Radiograph
from ai.segmentation import ModelIdentity, Segmentation


class Segmenter(Protocol):
    """Finds structures in radiographs.

    The real one is `ai.onnx_segmenter.OnnxSegmenter`; the plain one, for tests of everything around it, is
    `ai.stand_in.StandInSegmenter`.
    """

    @property
    def model(self) -> ModelIdentity:
        """The weights in use."""
        ...

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Return one segmentation for each radiograph, in order.

        Raises:
            ai.errors.NotAChestError: If the pixels do not look like a chest radiograph of a supported view.
        """
        ...


@runtime_checkable
class Shared(Protocol):
    """A segmenter that lets the more urgent go first where several wait for it."""

    def urged(self, urgency: int) -> Segmenter:
        """Return a segmenter for images of this urgency; what has more of it goes first."""
        ...
