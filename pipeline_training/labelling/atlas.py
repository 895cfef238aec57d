"""A labelled body as a labeller of bones: registration tells about where, the CT where, counting which.

The label map is laid on the CT by SimpleITK: by the lungs, then by points along the ribs, which are counted
in the CT itself, then by all surfaces of lungs and bones. It needs no CT of the labelled body.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline_training.errors import LabellerError, VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling import bone_names, registration, rib_count, spine_borders
from pipeline_training.labelling.bone_paths import Lengths, Mask, Numbers, nearest_seed, points_along
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.prior_vertebrae import LEVELS
from pipeline_training.labelling.rib_count import RIBS, SpineAxis
from pipeline_training.labelling.rules import body, lungs
from pipeline_training.volumes import LUNGS, LabelMap, load_label_map

MIN_RIBS = 16
"""So many ribs an atlas must hold to be laid on another body."""

EVERY_MM, ALONG_MM = 25.0, 225.0
"""Between the points along a rib, and to the last of them."""

STRANGE_MM = 25.0
"""A point that moves so much otherwise than those around it is not used."""

AROUND_MM = 30.0

BESIDE_MM, NECK_MM = 45.0, 36.0
"""Beside the middle of the spine ribs begin: to be found, and to be named."""

HEAD_MM = 27.0
"""Beside the middle of the spine lie the heads of the ribs."""

CORD = "spinal_cord"

CONFIDENCE = 0.7
"""Of all that it says: on a body that was left out, the Dice of its bones was 0.42 to 0.88."""

BACK_PART_MM = 25.0
"""The part of a rib beside the spine that is straight."""


@dataclass(frozen=True, eq=False)
class _Ribs:
    """Ribs and the ways along them."""

    numbers: Numbers
    lengths: Lengths


class AtlasLabeller:
    """Labels ribs, vertebrae, clavicles, shoulder blades and the sternum as a labelled body has them.

    Args:
        folder: The case; a CT in it is not needed.

    Raises:
        LabellerError: If it is no case with labelled lungs, ribs and spinal cord.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"atlas {folder.name}"
        try:
            self._atlas = load_label_map(folder)
        except VolumeError as exc:
            raise LabellerError(f"the atlas cannot be used: {exc}") from exc
        ribs = [name for name in self._atlas.names.values() if name.startswith("rib_")]
        if len(ribs) < MIN_RIBS:
            raise LabellerError(
                f"the atlas {folder.name} has {len(ribs)} ribs, at least {MIN_RIBS} are needed"
            )
        if CORD not in self._atlas.names.values():
            raise LabellerError(f"the atlas {folder.name} has no {CORD}, by which vertebrae are found")

    @property
    def vocabulary(self) -> frozenset[str]:
        """The bones that the atlas holds."""
        return frozenset(name for name in self._atlas.names.values() if name.startswith(bone_names.NAMED))

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer.

        Raises:
            LabellerError: If the CT has no two lungs, its ribs cannot be counted, or the bodies do not fit.
        """
        if abs(volume.spacing_mm - self._atlas.spacing_mm) > 1e-3:
            raise LabellerError(f"{volume.case}: the atlas has voxels of {self._atlas.spacing_mm} mm")
        registration.one_thread()
        target = _Target.of(volume)
        prior, paths = self._laid_on(target)
        slid = _slid(prior, paths, target)
        numbers, _ = bone_names.rib_paths(
            target.bone, target.sections, slid, target.lungs, target.axis, NECK_MM
        )
        labels = bone_names.named_bones(target.bone, numbers, slid)
        present = set(np.unique(labels).tolist())
        names = {n: name for n, name in self._atlas.names.items() if n in present and name in self.vocabulary}
        trust = np.full(labels.shape, CONFIDENCE, np.float32)
        return LabelVote(self.name, labels, names, frozenset(names.values()), trust)

    def _laid_on(self, target: "_Target") -> tuple[LabelMap, _Ribs]:
        """Return the atlas on the CT, and the ways along the CT's ribs that led it there."""
        atlas, ct = self._atlas, target.ct
        spacing, shape = ct.spacing_mm, ct.hu.shape
        start = registration.affine_on_lungs(target.lungs, atlas.mask(*LUNGS), spacing)
        scale = registration.scale_of(start)
        theirs = points_along(
            self._ribs.numbers, self._ribs.lengths, EVERY_MM * scale, ALONG_MM * scale, spacing
        )
        ours = points_along(target.sections, np.where(target.sections > 0, 0, np.inf), EVERY_MM, 0, spacing)
        near = self._on(target, registration.chain(start, _field(start, ours, theirs, shape, spacing)))
        paths = _Ribs(
            *bone_names.rib_paths(target.bone, target.sections, near, target.lungs, target.axis, BESIDE_MM)
        )
        ribs = np.where(paths.numbers <= 2 * RIBS, paths.numbers, 0).astype(np.uint8)
        ours |= points_along(ribs, paths.lengths, EVERY_MM, ALONG_MM, spacing)
        start = registration.chain(start, _field(start, ours, theirs, shape, spacing))
        near = self._on(target, start)
        fixed = registration.image_of(_surfaces(_calm(target, near, ribs), target.lungs), spacing)
        bones = atlas.mask_of_kind(*bone_names.BONES)
        moving = registration.image_of(_surfaces(bones, atlas.mask(*LUNGS)), spacing)
        last = registration.demons(fixed, moving, start)
        return self._on(target, registration.chain(start, last)), _Ribs(ribs, paths.lengths)

    def _on(self, target: "_Target", transform: registration.Transform) -> LabelMap:
        ct = target.ct
        labels = registration.carried(self._atlas.labels, transform, ct.hu.shape, ct.spacing_mm)
        return replace(self._atlas, labels=labels, hu=ct.hu, case=ct.case)

    @cached_property
    def _ribs(self) -> _Ribs:
        """The atlas' ribs with the way from where they are counted."""
        atlas = self._atlas
        axis = rib_count.spine_axis(atlas.mask_of_kind("vertebrae_"), atlas.mask(*LUNGS))
        ids = {name: number for number, name in atlas.names.items()}
        table = np.zeros(256, np.uint8)
        for number in range(1, 2 * RIBS + 1):
            table[ids.get(bone_names.rib_name(number), 0)] = number
        table[0] = 0
        ribs = table[atlas.labels]
        beside = np.abs(np.arange(ribs.shape[2]) - axis.columns[:, None, None]) * atlas.spacing_mm
        behind = (
            np.arange(ribs.shape[1])[:, None]
            > (axis.rows - rib_count.IN_FRONT_MM / atlas.spacing_mm)[:, None, None]
        )
        low, high = rib_count.PLANES_MM[0], rib_count.PLANES_MM[-1]
        outer = ribs * ((beside >= BESIDE_MM) | ~behind)
        seeds = ribs * ((beside >= low) & (beside <= high) & behind)
        numbers, lengths = nearest_seed(outer > 0, seeds, atlas.spacing_mm)
        return _Ribs(np.where(numbers == ribs, numbers, 0).astype(np.uint8), lengths)


@dataclass(frozen=True, eq=False)
class _Target:
    """A CT with what is found in it without an atlas."""

    ct: CtVolume
    lungs: Mask
    bone: Mask
    axis: SpineAxis
    sections: Numbers

    @classmethod
    def of(cls, ct: CtVolume) -> "_Target":
        right, left = lungs(ct)
        both = right | left
        bone = rib_count.dense(ct, body(ct))
        axis = rib_count.spine_axis(bone, both)
        try:
            sections = rib_count.numbered_sections(bone, both, axis, ct.spacing_mm)
        except LabellerError as exc:
            raise LabellerError(f"{ct.case}: {exc}") from exc
        return cls(ct, both, bone, axis, sections)


def _field(
    start: registration.Transform,
    ours: Mapping[tuple[int, int], npt.NDArray[np.float64]],
    theirs: Mapping[tuple[int, int], npt.NDArray[np.float64]],
    shape: tuple[int, ...],
    spacing_mm: float,
) -> registration.Transform:
    """Return what moves our points to where theirs lie before the affine transform, but strange pairs."""
    both = sorted(set(ours) & set(theirs))
    if not both:
        raise LabellerError("the atlas' ribs and those of the CT have no point in common")
    points = np.array([ours[key] for key in both])
    goals = registration.moved_back(start, np.array([theirs[key] for key in both]))
    moves = goals - points
    near = np.exp(-((points[:, None] - points) ** 2).sum(axis=-1) / (2 * AROUND_MM**2))
    np.fill_diagonal(near, 0)
    usual = near @ moves / (near.sum(axis=1, keepdims=True) + 1e-9)
    good = np.linalg.norm(moves - usual, axis=1) <= STRANGE_MM
    if good.sum() * 2 < len(good):
        raise LabellerError("the atlas' ribs do not fit those of the CT")
    return registration.field_through(shape, spacing_mm, points[good], goals[good])


def _calm(target: _Target, near: LabelMap, ribs: Numbers) -> Mask:
    """Return the dense voxels without those that lie in soft organs, where contrast is, not bone."""
    spacing, bones = target.ct.spacing_mm, near.mask_of_kind(*bone_names.BONES)
    soft = (near.labels > 0) & ~bones & ~near.mask_of_kind("lung_", "autochthon", "costal", "spinal", "body")
    to_soft = bone_names.distance(soft, spacing)
    return target.bone & (~((to_soft < bone_names.distance(bones, spacing)) & (to_soft < 10)) | (ribs > 0))


def _surfaces(bone: Mask, lung: Mask) -> npt.NDArray[np.float32]:
    return bone.astype(np.float32) - lung.astype(np.float32)


def _slid(prior: LabelMap, paths: _Ribs, target: _Target) -> LabelMap:
    """Return the atlas with its vertebrae between the borders that are seen in the CT, or without them."""
    ids = {name: number for number, name in prior.names.items()}
    table = np.zeros(256, np.uint8)
    for place, name in enumerate(LEVELS, start=1):
        table[ids.get(name, 0)] = place
    table[0] = 0
    levels = table[prior.labels]
    line = spine_borders.body_line(levels, prior.mask(CORD))
    if line is None:
        return replace(prior, labels=np.where(levels > 0, 0, prior.labels))
    before = spine_borders.borders_in(levels, line)
    ribs = spine_borders.awaited(_heads(paths, target), line, prior.spacing_mm)
    bright = spine_borders.brightness(target.ct.hu, line, prior.spacing_mm)
    after = spine_borders.find_borders(bright, line, before, ribs)
    slid = spine_borders.moved(levels, before, after)
    back = np.zeros(256, np.uint8)
    back[1 : len(LEVELS) + 1] = [ids.get(name, 0) for name in LEVELS]
    labels = np.where(levels > 0, 0, prior.labels)
    return replace(prior, labels=np.where((slid > 0) & (labels == 0), back[slid], labels))


def _heads(paths: _Ribs, target: _Target) -> dict[int, float]:
    """Return the slice in which each rib joins the spine: its straight part carried on; mean of the sides."""
    spacing = target.ct.spacing_mm
    found: dict[int, list[float]] = {}
    for number in range(1, 2 * RIBS + 1):
        places = np.argwhere((paths.numbers == number) & (paths.lengths < BACK_PART_MM))
        if len(places) < spine_borders.MIN_BODY:
            continue
        beside = np.abs(places[:, 2] - target.axis.columns[places[:, 0]]) * spacing
        slope, height = np.polyfit(beside, places[:, 0], 1)
        found.setdefault((number - 1) % RIBS + 1, []).append(float(slope * HEAD_MM + height))
    return {rib: float(np.mean(heights)) for rib, heights in found.items()}
