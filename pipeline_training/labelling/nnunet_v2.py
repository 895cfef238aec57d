"""Any trained nnU-Net v2 model as a labeller: the folder that training writes, with plans.json and fold_*."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.foreign import (
    FAILURES,
    Axes,
    existing,
    in_short,
    library,
    quiet,
    turned,
    vote_of,
)
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.names import translate

HINT = "pip install nnunetv2 (Apache-2.0); the weights have a licence of their own"
CHECKPOINT = "checkpoint_final.pth"

REORIENTING_READER = "NibabelIOWithReorient"
"""The reader of nnU-Net that turns every file to RAS; the others take indices as they lie in the file."""


class NnUnetV2Labeller:
    """Runs a model folder such as nnUNetTrainer__nnUNetPlans__3d_fullres, with every fold that is in it.

    A checkpoint is a pickle: loading one runs what it holds, so only use weights that you trust.

    Args:
        model: The folder with dataset.json, plans.json and fold_*.
        axes: Of the files that it was trained on, unless plans.json tells.
        device: Of torch, such as "cuda".
        confidence: Whether to return the softmax of the class chosen; needs memory for every class.

    Raises:
        LabellerError: If the folder is incomplete or has classes that overlap.
    """

    def __init__(
        self,
        model: Path,
        axes: Axes = Axes.LPS,
        device: str = "cpu",
        confidence: bool = False,
    ) -> None:
        self.name = f"nnU-Net {model.parent.name or model.name}"
        self._model, self._device, self._confidence = model, device, confidence
        plans = _read(model / "plans.json")
        self._axes = Axes.RAS if plans.get("image_reader_writer") == REORIENTING_READER else axes
        described = _read(model / "dataset.json")
        self._classes = _classes(self.name, described)
        _check_channels(self.name, described)
        self._folds = _folds(model)
        self._predictor: Any = None

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures that it was trained for, in our words."""
        return translate(self._classes).vocabulary

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer.

        Raises:
            LabellerError: If nnU-Net is not installed, weights are missing, or it fails.
        """
        predictor = self._loaded()
        image = turned(volume.hu, self._axes).astype(np.float32)[None]
        properties = {"spacing": [volume.spacing_mm] * 3}
        try:
            with quiet():
                answer = predictor.predict_single_npy_array(image, properties, None, None, self._confidence)
        except FAILURES as exc:
            raise LabellerError(f"{self.name} failed on {volume.case}: {in_short(exc)}") from exc
        numbers, shares = answer if self._confidence else (answer, None)
        best = None if shares is None else turned(np.asarray(shares).max(axis=0), self._axes)
        found = turned(np.asarray(numbers).astype(np.int32), self._axes)
        return vote_of(
            self.name, volume, found, self._classes, None if best is None else best.astype(np.float32)
        )

    def _loaded(self) -> Any:
        if self._predictor is None:
            try:
                with quiet():
                    predictor = self._made()
                    predictor.initialize_from_trained_model_folder(str(self._model), self._folds)
            except FAILURES as exc:
                raise LabellerError(
                    f"{self.name} cannot be loaded from {self._model}: {in_short(exc)}"
                ) from exc
            self._predictor = predictor
        return self._predictor

    def _made(self) -> Any:
        """Return a predictor; no mirroring, for left and right are classes of their own."""
        return library("nnunetv2.inference.predict_from_raw_data", HINT).nnUNetPredictor(
            use_mirroring=False, perform_everything_on_device=self._device != "cpu",
            device=torch.device(self._device), allow_tqdm=False,
        )  # fmt: skip


def _folds(model: Path) -> tuple[int | str, ...]:
    """Return the folds that were trained to their end; nnU-Net itself does not find one called "all"."""
    names = [path.parent.name.removeprefix("fold_") for path in model.glob(f"fold_*/{CHECKPOINT}")]
    numbered = sorted(int(name) for name in names if name.isdecimal())
    if not names:
        raise LabellerError(f"no fold_*/{CHECKPOINT} in the nnU-Net model {model}; {HINT}")
    return tuple(numbered) or ("all",)


def _check_channels(name: str, described: Mapping[str, Any]) -> None:
    channels = described.get("channel_names")
    if isinstance(channels, dict) and len(channels) != 1:
        raise LabellerError(
            f"{name} needs {len(channels)} images of a patient: {', '.join(channels.values())}"
        )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(existing(path, "a file of the nnU-Net model", HINT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise LabellerError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(content, dict):
        raise LabellerError(f"{path} does not hold an object")
    return content


def _classes(name: str, described: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of dataset.json's classes by number."""
    labels = described.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(number, int | str) for number in labels.values()):
        raise LabellerError(
            f"{name}: dataset.json must name one number for each class; overlapping regions do not fit"
        )
    try:
        return {int(number): str(each) for each, number in labels.items() if each != "ignore"}
    except ValueError as exc:
        raise LabellerError(f"{name}: dataset.json: {exc}") from exc
