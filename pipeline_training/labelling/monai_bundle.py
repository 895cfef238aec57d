"""Any MONAI bundle for segmentation as a labeller: its own preprocessing, network and postprocessing.

A bundle's configuration holds Python expressions that are run: only use bundles that you trust.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline_training.case_writer import lps_affine
from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.foreign import (
    FAILURES,
    Axes,
    Numbers,
    existing,
    in_short,
    library,
    quiet,
    turned,
    vote_of,
    write_ct,
)
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.names import translate

HINT = "pip install monai nibabel (Apache-2.0); a bundle has its licence in its folder"
SAVING = "SaveImaged"
OUTPUT = "network_data_format::outputs::pred::channel_def"
NESTED = ("model", "state_dict", "network")
"""Keys under which a checkpoint may keep the network's weights."""


class MonaiBundleLabeller:
    """Runs a bundle that has configs/metadata.json, configs/inference.json and models/model.pt.

    Args:
        bundle: Its folder.
        weights: Its weights, below the folder or elsewhere; models/model.pt if None.
        device: Of torch, such as "cuda".
        image_key: What the configuration calls the CT.

    Raises:
        LabellerError: If files are missing.
    """

    def __init__(
        self, bundle: Path, weights: Path | None = None, device: str = "cpu", image_key: str = "image"
    ) -> None:
        self.name = f"MONAI {bundle.name}"
        self._bundle, self._device, self._key = bundle, device, image_key
        for name in ("metadata.json", "inference.json"):
            existing(bundle / "configs" / name, "the bundle's configuration", HINT)
        self._weights = existing(weights or bundle / "models" / "model.pt", "the bundle's weights", HINT)
        self._parser: Any = None
        self._network: Any = None

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures of the bundle's output, in our words.

        Raises:
            LabellerError: If MONAI is not installed or the bundle does not name its classes.
        """
        return translate(self._classes()).vocabulary

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer.

        Raises:
            LabellerError: If MONAI is not installed, the bundle does not load, or it fails.
        """
        classes = self._classes()
        network = self._loaded()
        try:
            numbers = self._predicted(volume, network)
        except FAILURES as exc:
            raise LabellerError(f"{self.name} failed on {volume.case}: {in_short(exc)}") from exc
        return vote_of(self.name, volume, numbers, classes)

    def _predicted(self, volume: CtVolume, network: Any) -> Numbers:
        """Return class numbers on our axes; the bundle's own transforms bring them back to the file's."""
        parser = self._configured()
        with tempfile.TemporaryDirectory() as folder, quiet():
            path = Path(folder) / "ct.nii.gz"
            write_ct(path, volume)
            data = parser.get_parsed_content("preprocessing")({self._key: str(path)})
        with torch.no_grad(), quiet():
            image = data[self._key][None].to(self._device)
            data["pred"] = parser.get_parsed_content("inferer")(inputs=image, network=network)[0]
            answer = parser.get_parsed_content("postprocessing")(data)["pred"].cpu()
        _check_place(self.name, getattr(answer, "affine", getattr(image, "affine", None)), volume.spacing_mm)
        return _single(self.name, np.asarray(answer))

    def _configured(self) -> Any:
        if self._parser is None:
            parser = library("monai.bundle", HINT).ConfigParser()
            try:
                self._configure(parser)
            except FAILURES as exc:
                raise LabellerError(f"{self.name}: its configuration does not fit: {in_short(exc)}") from exc
            self._parser = parser
        return self._parser

    def _configure(self, parser: Any) -> None:
        """Read the bundle's configuration, for our device and without what writes files."""
        parser.read_meta(str(self._bundle / "configs" / "metadata.json"))
        parser.read_config(str(self._bundle / "configs" / "inference.json"))
        parser["bundle_root"] = str(self._bundle)
        parser["device"] = f"$torch.device('{self._device}')"
        steps = parser["postprocessing"]["transforms"]
        parser["postprocessing"]["transforms"] = [s for s in steps if s.get("_target_") != SAVING]
        if "device" in parser["inferer"]:
            parser["inferer"]["device"] = f"$torch.device('{self._device}')"

    def _loaded(self) -> Any:
        if self._network is None:
            parser = self._configured()
            try:
                network = parser.get_parsed_content("network_def").to(self._device)
                stored = torch.load(self._weights, map_location=self._device, weights_only=True)
                network.load_state_dict(next((stored[key] for key in NESTED if key in stored), stored))
            except FAILURES as exc:
                words = f"{self.name}: {self._weights} does not fit its network: {in_short(exc)}"
                raise LabellerError(words) from exc
            network.eval()
            self._network = network
        return self._network

    def _classes(self) -> dict[int, str]:
        described: Any = self._configured().get("_meta_::" + OUTPUT)
        if not isinstance(described, Mapping):
            raise LabellerError(f"{self.name}: metadata.json does not name the output's classes")
        return {int(number): str(name) for number, name in described.items()}


def _check_place(name: str, affine: Any, spacing_mm: float) -> None:
    """Refuse an answer that does not lie where the CT lies.

    A bundle turns and resamples the CT for its network; one without `Invertd` leaves the answer that way.
    """
    if affine is None or not np.allclose(np.asarray(affine), lps_affine(spacing_mm), atol=1e-3):
        raise LabellerError(f"{name}: its postprocessing does not bring the answer back to the CT (Invertd)")


def _single(name: str, answer: Any) -> Numbers:
    """Return one channel of class numbers (x, y, z) of an LPS file as (slices, rows, columns)."""
    if answer.ndim != 4 or answer.shape[0] != 1:
        raise LabellerError(f"{name}: class numbers (1, x, y, z) are needed, found shape {answer.shape}")
    return np.rint(turned(answer[0].transpose(2, 1, 0), Axes.LPS)).astype(np.int32)
