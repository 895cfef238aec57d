"""The same projections by DiffDRR 0.6.1, run by the Python of an environment that has it.

Usage: python -m tests.benchmarks.diffdrr_peer EXCHANGE.npz OUT.npz REPEATS THREADS

The volume lies in its array as (left, posterior, superior); DiffDRR's world is RAS, so the affine turns the
first two axes round. Its camera looks along +z; rows of a picture run along -y, columns along +x, or -x with
`reverse_x_axis` (`Detector._initialize_carm`). With `orientation=None` nothing else is turned.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tests.benchmarks.memory import forget_peak, peak_mb

torch: Any = importlib.import_module("torch")
torchio: Any = importlib.import_module("torchio")
data: Any = importlib.import_module("diffdrr.data")
drr: Any = importlib.import_module("diffdrr.drr")
poses: Any = importlib.import_module("diffdrr.pose")

RAS_OF_LPS = np.array([-1.0, -1.0, 1.0])
PATCHES = 4
"""A picture is rendered in so many parts: a whole one of 512 rows by Siddon's method takes over 10 GB."""


def main() -> None:
    """Render every pose by both methods, time the first one with and without labels, write all of it."""
    exchange, out, repeats, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    given = np.load(exchange)
    subject = _subject(given)
    found: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for renderer in ("trilinear", "siddon"):
        for i in range(len(given["sources"])):
            found[f"{renderer}_{i}"] = _render(subject, given, i, renderer, labelled=False)
        for labelled in (False, True):
            before = forget_peak()
            seconds = [_seconds(subject, given, renderer, labelled) for _ in range(int(repeats))]
            figures[f"{renderer}{', image and labels' if labelled else ', image only'}"] = {
                "seconds": [median(each) for each in zip(*seconds, strict=True)],
                "peak_mb": peak_mb() - before,
            }
    np.savez(Path(out), figures=json.dumps(figures), **found)


def _subject(given: Any) -> Any:
    """Return the volume and its combinations of labels, the lungs' centre at the origin."""
    spacing, centre = float(given["spacing_mm"]), given["centre_xyz"]
    affine = np.eye(4)
    affine[:3, :3] = np.diag(RAS_OF_LPS * spacing)
    affine[:3, 3] = -RAS_OF_LPS * spacing * centre
    density = torchio.ScalarImage(tensor=_as_tensor(given["per_mm"]), affine=affine)
    labels = torchio.LabelMap(tensor=_as_tensor(given["ids"].astype(np.int16)), affine=affine)
    subject = data.read(density, labelmap=labels, orientation=None, center_volume=False)
    subject.density = density  # its own HU table would stretch each volume to 0..1
    return subject


def _as_tensor(voxels: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(voxels.transpose(2, 1, 0)))[None]


def _render(subject: Any, given: Any, pose: int, renderer: str, labelled: bool) -> Any:
    """Return the picture (size, size), or (channels, size, size) with labels."""
    size = int(given["size"])
    columns, rows, beam = (RAS_OF_LPS * given[name][pose] for name in ("columns", "rows", "beams"))
    reverse = bool(np.dot(np.cross(columns, -rows), beam) < 0)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = np.column_stack([-columns if reverse else columns, -rows, beam])
    matrix[:3, 3] = RAS_OF_LPS * given["sources"][pose]
    renders = drr.DRR(
        subject,
        sdd=float(given["distances"][pose]),
        height=size,
        delx=float(given["pixels_mm"][pose]),
        renderer=renderer,
        reverse_x_axis=reverse,
        patch_size=size // int(PATCHES**0.5),
    )
    with torch.no_grad():
        image = renders(poses.RigidTransform(torch.from_numpy(matrix)), mask_to_channels=labelled)
    return image[0].squeeze().numpy()


def _seconds(subject: Any, given: Any, renderer: str, labelled: bool) -> tuple[float, float]:
    """Return CPU seconds and seconds on the clock."""
    begun = time.process_time(), time.perf_counter()
    _render(subject, given, 0, renderer, labelled)
    return time.process_time() - begun[0], time.perf_counter() - begun[1]


if __name__ == "__main__":
    main()
