"""`paxnode-train repeatability`: what of a change between two films is noise of model and measurement."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_training.commands.compare import Data, Json, Limit, Only, console, write_text


def repeatability(
    data: Data,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle; none: the default one.")] = None,
    json: Json = None,
    only: Only = None,
    limit: Limit = None,
    width_mm: Annotated[
        float | None, typer.Option(min=1, help="Width of the pictures in mm; none: no lengths are measured.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the moves.")] = 0,
) -> None:
    """Tell how far each measurement moves when a picture is shifted, turned and scaled a little."""
    from ai.bundle import DEFAULT_BUNDLE
    from pipeline_training.evaluate import EvaluateOptions, chosen_sets, load_segmenter
    from pipeline_training.repeatability import repeatability as spread_of_sets
    from pipeline_training.repeatability import repeatability_table

    options = EvaluateOptions(data, bundle or DEFAULT_BUNDLE, tuple(only or ()), limit)
    found = spread_of_sets(load_segmenter(options), chosen_sets(options), seed, width_mm)
    console().print(repeatability_table(found))
    if found.refused:
        console().print(f"refused at every look: {', '.join(found.refused)}", markup=False, soft_wrap=True)
    write_text(json, found.to_json())
