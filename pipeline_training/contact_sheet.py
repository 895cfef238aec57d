"""One picture of the worst, the median and the best image of every structure, with both outlines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ai.segmenter import Segmenter
from pipeline_training.answers import Answer, answers, found_mask
from pipeline_training.errors import EvaluationError, OutputError
from pipeline_training.evaluation_report import Evaluation, Score, SetResult
from pipeline_training.metrics import border
from pipeline_training.radiograph_folders import RadiographSet, Structure, read_radiograph

TILE = 320
"""Width and height of one picture on the sheet, in pixels."""
CAPTION = 16
"""Height of the line of text above each picture, in pixels."""
TRUTH_COLOUR = (0, 220, 90)
FOUND_COLOUR = (255, 60, 200)
RANKS = ("worst", "median", "best")

ColourImage = npt.NDArray[np.uint8]


def draw_contact_sheet(
    segmenter: Segmenter, sets: Sequence[RadiographSet], evaluation: Evaluation
) -> ColourImage:
    """Return a sheet with a row for each set and structure: worst, median and best image by Dice.

    The reader's outline is green, the model's magenta. The images chosen are segmented again, so that an
    evaluation need not hold every mask.

    Args:
        segmenter: The one that was evaluated.
        sets: The ones that it was evaluated on.
        evaluation: Its result.

    Returns:
        uint8, shape (rows, columns, 3).

    Raises:
        EvaluationError: If nothing was scored.
    """
    results = {result.name: result for result in evaluation.sets}
    rows = [row for each in sets for row in _set_rows(segmenter, each, results[each.name])]
    if not rows:
        raise EvaluationError("nothing was scored, so there is nothing to draw on a contact sheet")
    return np.vstack(rows)


def write_contact_sheet(path: Path, sheet: ColourImage) -> None:
    """Write the sheet as a picture; the suffix of the path says in which format.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        Image.fromarray(sheet).save(path)
    except (OSError, ValueError) as exc:
        raise OutputError(f"cannot write the contact sheet {path}: {exc}") from exc


@dataclass(frozen=True, eq=False)
class _Panel:
    """One picture on the sheet; no segmentation if the model refused it this time."""

    pixels: npt.NDArray[np.float32]
    outlines: tuple[tuple[npt.NDArray[np.bool_], tuple[int, int, int]], ...]
    caption: str


def _set_rows(segmenter: Segmenter, found: RadiographSet, result: SetResult) -> list[ColourImage]:
    chosen = {s.structure: _ranked([i for i in s.images if not i.refused]) for s in result.structures}
    wanted = {score.image for scores in chosen.values() for score in scores}
    drawn = {a.image.name: a for a in answers(segmenter, [i for i in found.images if i.name in wanted])}
    return [
        np.hstack([
            _draw(_panel(found, structure, drawn[score.image], _caption(found, structure, rank, score)))
            for rank, score in zip(RANKS, chosen[structure.folder], strict=True)
        ])
        for structure in found.structures
        if chosen[structure.folder]
    ]  # fmt: skip


def _ranked(scores: Sequence[Score]) -> tuple[Score, ...]:
    """Return the worst, the median and the best; the same one thrice if there is only one; none of none."""
    ordered = sorted(scores, key=lambda score: score.dice)
    return (ordered[0], ordered[len(ordered) // 2], ordered[-1]) if ordered else ()


def _caption(found: RadiographSet, structure: Structure, rank: str, score: Score) -> str:
    return f"{found.name} {structure.folder}: {rank}, Dice {score.dice:.3f}, HD95 {score.hausdorff95_px:.0f}"


def _panel(found: RadiographSet, structure: Structure, answer: Answer, caption: str) -> _Panel:
    pixels = read_radiograph(answer.image).pixels
    truth = found.truth(structure, answer.image, (pixels.shape[0], pixels.shape[1]))
    outlines = [] if truth is None else [(truth, TRUTH_COLOUR)]
    if answer.segmentation is not None:
        outlines.append((found_mask(answer.segmentation, structure), FOUND_COLOUR))
    return _Panel(pixels, tuple(outlines), caption)


def _draw(panel: _Panel) -> ColourImage:
    size = _size(panel.pixels.shape)
    grey = Image.fromarray((panel.pixels * 255).astype(np.uint8)).resize(size)
    colour = np.array(grey.convert("RGB"))
    for mask, line in panel.outlines:
        small = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
        colour[border(np.asarray(small))] = line
    tile = np.zeros((CAPTION + TILE, TILE, 3), np.uint8)
    tile[CAPTION : CAPTION + size[1], : size[0]] = colour
    written = Image.fromarray(tile)
    ImageDraw.Draw(written).text((2, 2), panel.caption, fill="white")
    return np.asarray(written)


def _size(shape: Sequence[int]) -> tuple[int, int]:
    """Return (columns, rows) of an image of shape (rows, columns) on the sheet."""
    scale = TILE / max(shape)
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
