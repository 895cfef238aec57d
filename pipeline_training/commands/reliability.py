"""`paxnode-train fit-reliability` and `check-reliability`: how far a bundle's masks may be trusted."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_training.commands.compare import Json, Only, console, write_text

Sets = Annotated[list[Path] | None, typer.Option("--radiographs", help="Radiographs with readers' masks.")]


def fit_reliability(
    bundle: Annotated[Path, typer.Option(help="The bundle: folder or .zip.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle with its curves; may be the same.")],
    projections: Annotated[Path, typer.Option(help="Folder made by `paxnode-train project` or `build`.")],
    radiographs: Sets = None,
    looks: Annotated[int, typer.Option(min=1, help="Looks, half of them at spoilt pictures.")] = 600,
) -> None:
    """Fit for each structure the probability that its Dice reaches its bar, and write it into the bundle."""
    from ai.bundle import Bundle
    from pipeline_training.dataset import read_sources
    from pipeline_training.model_card import save_with_card
    from pipeline_training.radiograph_folders import read_set
    from pipeline_training.reliability import fit

    sources = read_sources(projections, [read_set(folder) for folder in radiographs or ()])
    fitted = fit(Bundle.load(bundle), sources, looks)
    save_with_card(fitted, out)
    typer.echo(f"{len(fitted.manifest.reliability)} of {len(fitted.manifest.labels)} structures have a curve")


def check_reliability(
    data: Annotated[Path, typer.Option(help="A set (images/, masks/<structure>/) or a folder of sets.")],
    bundle: Annotated[Path | None, typer.Option(help="The model bundle; none: the default one.")] = None,
    json: Json = None,
    only: Only = None,
) -> None:
    """Tell how a bundle's trust ranks its errors on radiographs, and whether it falls on spoilt ones."""
    from ai.bundle import DEFAULT_BUNDLE, Bundle
    from pipeline_training.dataset import from_radiograph
    from pipeline_training.evaluate import EvaluateOptions, chosen_sets
    from pipeline_training.reliability import check, check_table

    options = EvaluateOptions(data, bundle or DEFAULT_BUNDLE, tuple(only or ()))
    sets = {
        images.name: [s for s in (from_radiograph(images, path) for path in images.images) if s is not None]
        for images in chosen_sets(options)
    }
    found = check(Bundle.load(options.bundle), sets)
    console().print(check_table(found))
    write_text(json, found.to_json())
