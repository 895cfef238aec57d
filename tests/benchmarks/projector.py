"""How fast, how large and how right the projector is, beside a plain NumPy sum and DiffDRR, in one run.

    python -m tests.benchmarks.projector                         a synthetic body
    python -m tests.benchmarks.projector --case FOLDER           a case with ct.nii.gz and labels
    python -m tests.benchmarks.projector --diffdrr-python PATH   DiffDRR 0.6.1 too, from its environment

Times are medians, in CPU seconds, which a busy machine lengthens less, and on the clock; DiffDRR runs as
often. Every line of ours runs in a process of its own, so that memory peaks are its own. Linux.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.derive import derive
from pipeline_training.geometry import POSES, central_direction, detector_points
from pipeline_training.partition import joint_partition
from pipeline_training.physics import CT_KEV, water_per_mm
from pipeline_training.projector import Projector
from pipeline_training.targets import structure_lengths, structure_masks
from pipeline_training.volumes import load_label_map
from tests.benchmarks.memory import forget_peak, peak_mb

ROOT = Path(__file__).parents[2]
PEER = "tests.benchmarks.diffdrr_peer"
HU_RANGE = (-1000, 3071)
VIEWS = ("PA", "AP", "LL", "RAO")
GROWING_VOXELS = (96, 128, 192, 256)
GROWING_LABELS = (10, 40, 160, 640)

Task = Callable[[Anatomy, int], object]
Figure = tuple[float, float, float]
"""CPU seconds, seconds on the clock, and MB that the process grew by at its peak, the volume not counted."""


def main(
    case: Annotated[
        Path | None, typer.Option(help="Folder with ct.nii.gz, labels.nii.gz, labels.json.")
    ] = None,
    diffdrr_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with DiffDRR.")
    ] = None,
    size: Annotated[int, typer.Option(help="Rows and columns of the pictures.")] = 512,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    repeats: Annotated[int, typer.Option(help="Times of each, DiffDRR too.")] = 3,
    growth: Annotated[bool, typer.Option(help="Show how cost grows.")] = True,
) -> None:
    """Print times, memory and agreement for one volume, then how cost grows."""
    anatomy = _clipped(load(case) if case else synthetic(192, 160))
    structures = sum(len(layer.structures) for layer in anatomy.layers)
    typer.echo(
        f"{anatomy.case}: {anatomy.hu.shape} voxels of {anatomy.spacing_mm} mm, {structures} structures"
    )
    typer.echo(
        f"PA, {size} x {size}, {threads} threads, median of {repeats}: CPU seconds, clock, ratio, memory"
    )
    lines = {name: _measured(task, anatomy, size, threads, repeats) for name, task in TASKS.items()}
    if diffdrr_python:
        lines |= _diffdrr(diffdrr_python, anatomy, size, threads, repeats)
    ours = lines[OURS][0]
    for name, (cpu, clock, peak) in lines.items():
        typer.echo(f"  {name:40s} {cpu:8.3f} s {clock:8.3f} s {cpu / ours:7.2f} x ours {peak:6.0f} MB")
    if growth:
        _echo_growth(size, threads, repeats)


def load(case: Path) -> Anatomy:
    """Return the anatomy of a case folder."""
    return derive(load_label_map(case), np.random.default_rng(0))


def synthetic(voxels: int, labels: int) -> Anatomy:
    """Return an ellipsoid of noise that fills a cube of 360 mm, cut into labels of two overlapping layers."""
    generator = np.random.default_rng(0)
    z, y, x = (np.mgrid[:voxels, :voxels, :voxels] + 0.5) / voxels * 2 - 1
    inside = z**2 / 2 + (y / 0.7) ** 2 + x**2 < 1
    hu = np.where(inside, generator.normal(0, 200, inside.shape), -1000).astype(np.int16)
    halves = (labels // 2, labels - labels // 2)
    layers = [
        _slabs(inside, count, direction) for count, direction in zip(halves, (z + x, z - x), strict=True)
    ]
    centre = ((voxels - 1) / 2,) * 3
    tissue = np.zeros(layers[0].count + 1, np.intp)
    return Anatomy(f"synthetic {voxels}", hu, layers[0], (layers[1],), tissue, 360 / voxels, centre)


def _slabs(inside: Any, count: int, direction: Any) -> Layer:
    """Return a layer of slanting slabs, at most 255."""
    count = min(count, 255)
    number = 1 + np.floor((direction + 2) / 4 * count).clip(0, count - 1)
    names = {f"slab {i} of {count}": (i,) for i in range(1, count + 1)}
    return Layer(np.where(inside, number, 0).astype(np.uint8), names, count)


def _clipped(anatomy: Anatomy) -> Anatomy:
    return replace(anatomy, hu=anatomy.hu.clip(*HU_RANGE))


def ours_with_labels(anatomy: Anatomy, size: int) -> object:
    """Project image and masks of every structure, the body prepared anew."""
    projection = Projector(anatomy).project([POSES["PA"]], size)[0]
    return structure_masks(structure_lengths(anatomy, projection))


def ours_four_poses(anatomy: Anatomy, size: int) -> object:
    """Project image and masks from four poses, the body prepared once."""
    projections = Projector(anatomy).project([POSES[view] for view in VIEWS], size)
    return [structure_masks(structure_lengths(anatomy, projection)) for projection in projections]


def ours_image_only(anatomy: Anatomy, size: int) -> object:
    """Project the image, no structure."""
    tissue = np.zeros(1, np.intp)
    bare = replace(anatomy, organs=Layer.empty(anatomy.hu.shape), regions=(), tissue_of_part=tissue)
    return Projector(bare).project([POSES["PA"]], size)[0].attenuation


def numpy_image_only(anatomy: Anatomy, size: int) -> object:
    """Sum attenuation along the rows: parallel rays, no geometry."""
    return _nearest(_per_mm(anatomy).sum(axis=1) * anatomy.spacing_mm, size)


def numpy_with_labels(anatomy: Anatomy, size: int) -> object:
    """Sum attenuation and look for each structure along the rows, one after another."""
    masks = {
        name: _nearest(layer.mask(name).any(axis=1), size)
        for layer in anatomy.layers
        for name in layer.structures
    }
    return masks, numpy_image_only(anatomy, size)


def _per_mm(anatomy: Anatomy) -> Any:
    return np.clip(anatomy.hu.astype(np.float32) / 1000 + 1, 0, None) * np.float32(water_per_mm(CT_KEV))


def _nearest(image: Any, size: int) -> Any:
    rows, columns = (np.arange(size) * n // size for n in image.shape)
    return image[::-1][rows][:, columns]


OURS = "ours, image and labels"
TASKS: dict[str, Task] = {
    OURS: ours_with_labels,
    "ours, PA, AP, LL, RAO together": ours_four_poses,
    "ours, image only": ours_image_only,
    "NumPy sum (parallel), image only": numpy_image_only,
    "NumPy sum (parallel), image and labels": numpy_with_labels,
}


def _measured(task: Task, anatomy: Anatomy, size: int, threads: int, repeats: int) -> Figure:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, task, anatomy, size, threads, repeats).result()


def _measure(task: Task, anatomy: Anatomy, size: int, threads: int, repeats: int) -> Figure:
    torch.set_num_threads(threads)
    before, seconds = forget_peak(), []
    for _ in range(repeats):
        begun = time.process_time(), time.perf_counter()
        task(anatomy, size)
        seconds.append((time.process_time() - begun[0], time.perf_counter() - begun[1]))
    cpu, clock = (median(each) for each in zip(*seconds, strict=True))
    return cpu, clock, peak_mb() - before


def _diffdrr(python: Path, anatomy: Anatomy, size: int, threads: int, repeats: int) -> dict[str, Figure]:
    """Print how far DiffDRR's pictures agree with ours, return its times and the memory of its process."""
    with tempfile.TemporaryDirectory() as folder:
        exchange, out = Path(folder) / "exchange.npz", Path(folder) / "out.npz"
        np.savez(exchange, **_exchange(anatomy, size))
        subprocess.run(
            [str(python.absolute()), "-m", PEER, str(exchange), str(out), str(repeats), str(threads)],
            check=True, cwd=ROOT, stdout=sys.stderr,
        )  # fmt: skip
        with np.load(out) as stored:
            theirs = {name: stored[name] for name in stored.files}
    _echo_agreement(anatomy, size, theirs)
    figures = json.loads(str(theirs["figures"]))
    return {f"DiffDRR {name}": (*f["seconds"], f["peak_mb"]) for name, f in figures.items()}


def _exchange(anatomy: Anatomy, size: int) -> dict[str, Any]:
    """Return the volume and the poses in plain numbers; axes of detectors are (left, posterior, superior)."""
    whole = (slice(None),) * 3
    poses = [POSES[view] for view in VIEWS]
    points = [detector_points(pose, size) for pose in poses]
    across = [_unit(pixels[0, -1] - pixels[0, 0]) for _, pixels in points]
    return {
        "per_mm": _per_mm(anatomy),
        "ids": joint_partition(anatomy.layers, whole).ids,
        "spacing_mm": anatomy.spacing_mm,
        "centre_xyz": np.array(anatomy.centre[::-1]),
        "size": size,
        "sources": np.stack([source for source, _ in points]),
        "columns": np.stack([-a if p.mirrored else a for a, p in zip(across, poses, strict=True)]),
        "rows": np.stack([_unit(pixels[-1, 0] - pixels[0, 0]) for _, pixels in points]),
        "beams": np.stack([central_direction(pose) for pose in poses]),
        "distances": np.array([pose.source_to_detector_mm for pose in poses]),
        "pixels_mm": np.array([pose.field_mm / size for pose in poses]),
    }


def _unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


def _echo_agreement(anatomy: Anatomy, size: int, theirs: dict[str, Any]) -> None:
    ours = Projector(anatomy).project([POSES[view] for view in VIEWS], size)
    typer.echo("normalised cross-correlation of line integrals with DiffDRR, and the ratio of their means:")
    for i, (view, projection) in enumerate(zip(VIEWS, ours, strict=True)):
        mine = projection.attenuation.sum(axis=0)
        said = [
            f"{name} {np.corrcoef(mine.ravel(), theirs[f'{name}_{i}'].ravel())[0, 1]:.5f}"
            f" ({mine.mean() / theirs[f'{name}_{i}'].mean():.4f})"
            for name in ("trilinear", "siddon")
        ]
        typer.echo(f"  {view:4s} {'   '.join(said)}")


def _echo_growth(size: int, threads: int, repeats: int) -> None:
    typer.echo(f"cost as the volume grows (160 labels, {size} x {size}) and as labels grow (192^3 voxels):")
    bodies = [(voxels, 160) for voxels in GROWING_VOXELS] + [(192, labels) for labels in GROWING_LABELS]
    for voxels, labels in bodies:
        body = synthetic(voxels, labels)
        present = sum(len(layer.structures) for layer in body.layers)
        cpu, clock, peak = _measured(ours_with_labels, body, size, threads, repeats)
        typer.echo(f"  {voxels:4d}^3 voxels {present:4d} labels {cpu:8.3f} s {clock:8.3f} s {peak:6.0f} MB")


if __name__ == "__main__":
    typer.run(main)
