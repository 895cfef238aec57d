"""Masks that a network tells of radiographs nobody drew them on, for the next network to learn from.

Readers drew three structures on the radiographs that may be learned from; a network that learned bones from
projections sees them on radiographs as well, surely in places, unsurely in others. What it is sure of is
written beside the readers' masks as one more set of radiographs, in folders of its own. Sure means: its own
probabilities promise a good Dice, and so does what it says of the negative of the picture, moved (the signs
of `ai.uncertainty`). What it is not sure of stays unknown, and no reader's mask is replaced. Source of the
idea: self-training with confidence, as Lee, "Pseudo-Label", ICML workshop 2013.
"""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ai.labels import label
from ai.preprocess import Letterbox, network_input, separable_bilinear
from ai.uncertainty import agreement, expected_dice, second_look
from pipeline_training.errors import RadiographSetError
from pipeline_training.export import load_network
from pipeline_training.mirror import logits_of
from pipeline_training.network import AnatomyNet
from pipeline_training.radiograph_folders import PATIENTS_FILE, RadiographSet, read_radiograph, read_set

LEAST_CELLS = 30
"""Grid cells of a mask that is believed."""


@dataclass(frozen=True)
class SelfLabelOptions:
    """What `paxnode-train self-label` does.

    Attributes:
        checkpoint: Whose averaged network tells.
        radiographs: Folders of the sets.
        out: Folder that gets a folder of each set's name.
        surety: Least expected Dice, and least agreement of both looks, of a mask that is written.
        size: Rows and columns of the network's input.
        without: Structures whose name holds one of these words are not told.
        mirror_bones: Whether it is asked about bones of the mirrored picture as well (`ai.mirroring`).
    """

    checkpoint: Path
    radiographs: tuple[Path, ...]
    out: Path
    surety: float = 0.8
    size: int = 320
    without: tuple[str, ...] = ()
    mirror_bones: bool = False


def self_label(options: SelfLabelOptions) -> Mapping[str, int]:
    """Write the sets and return on how many radiographs each structure was told; unsure ones are left out.

    A set NAME becomes NAME_told; what was told lies in folders told_STRUCTURE, which its protocol names.

    Raises:
        RadiographSetError: If a set cannot be read, its folder in `out` is there already, two sets have one
            name, or two pictures of a set differ in their suffix alone.
        pipeline_training.errors.ExportError: If the checkpoint cannot be read.
    """
    network, names = load_network(options.checkpoint)
    wanted = {name for name in names if not any(word in name for word in options.without)}
    counts: dict[str, int] = {}
    sets = [read_set(folder) for folder in options.radiographs]
    targets = [options.out / f"{images.name}_told" for images in sets]
    _check(sets, targets)
    for images, target in zip(sets, targets, strict=True):
        drawn = {name for structure in images.structures for name in structure.labels}
        chosen = [name for name in names if name in wanted - drawn]
        _copy(images, target, chosen)
        for path in images.images:
            sure = told_of(network, names, path, options)
            for name, mask in ((name, mask) for name, mask in sure.items() if name in chosen):
                counts[name] = counts.get(name, 0) + 1
                file = target / "masks" / _folder_of(name) / f"{path.stem}.png"
                Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file)
    return dict(sorted(counts.items()))


@torch.no_grad()
def told_of(
    network: AnatomyNet, names: Sequence[str], path: Path, options: SelfLabelOptions
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the masks (rows, columns) of a radiograph that the network is sure of.

    Args:
        network: In evaluation mode.
        names: Of its channels.
        path: Of the picture.
        options: See `SelfLabelOptions`.
    """
    inputs, box = network_input(read_radiograph(path).pixels, options.size)
    looks = np.concatenate([inputs[None, None], second_look(inputs[None, None], [box.film()])])
    first, second = logits_of(network, torch.from_numpy(looks), names, options.mirror_bones)
    cutoffs = np.zeros(len(first), np.float32)
    sure = (expected_dice(first, cutoffs) >= options.surety) & (
        agreement(first, second, options.size) >= options.surety
    )
    sure &= (first > 0).sum(axis=(1, 2)) >= LEAST_CELLS
    told = zip(names, first, sure.tolist(), strict=True)
    return {name: _on_picture(logits, box) for name, logits, is_sure in told if is_sure}


def _on_picture(logits: npt.NDArray[np.float32], box: Letterbox) -> npt.NDArray[np.bool_]:
    """Return where logits (G, G), interpolated, exceed 0 at the picture's own pixels."""
    grid = Letterbox(box.rows, box.columns, logits.shape[-1])
    rows, columns = grid.network_rows(0, box.rows), grid.network_columns(0, box.columns)
    return np.asarray(separable_bilinear(logits, rows, columns) > 0)


def _folder_of(name: str) -> str:
    return f"told_{label(name).slug}"


def _check(sets: Sequence[RadiographSet], targets: Sequence[Path]) -> None:
    for images, target in zip(sets, targets, strict=True):
        if target.exists() or targets.count(target) > 1:
            raise RadiographSetError(f"{target} is there already")
        stems = [path.stem for path in images.images]
        if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
            raise RadiographSetError(
                f"{images.folder} has two pictures named {twice[0]}: their masks would be one"
            )


def _copy(images: RadiographSet, target: Path, told: Collection[str]) -> None:
    """Copy pictures, readers' masks and patients into a new set, which states its own protocol.

    Folders for what will be told are made empty: a structure of which nothing is told teaches nothing.
    """
    (target / "images").mkdir(parents=True)
    for path in images.images:
        shutil.copyfile(path, target / "images" / path.name)
    for structure in images.structures:
        folder = target / "masks" / structure.folder
        folder.mkdir(parents=True)
        for path in images.images:
            mask = images.mask_path(structure, path)
            if mask:
                shutil.copyfile(mask, folder / mask.name)
    protocol = {each.folder: list(each.labels) for each in images.structures if not each.note}
    protocol |= {each.folder: [] for each in images.structures if each.note}
    for name in told:
        (target / "masks" / _folder_of(name)).mkdir(parents=True)
        protocol[_folder_of(name)] = [name]
    (target / "protocol.json").write_text(json.dumps(protocol, indent=1), encoding="utf-8")
    if (images.folder / PATIENTS_FILE).is_file():
        shutil.copyfile(images.folder / PATIENTS_FILE, target / PATIENTS_FILE)
