"""`paxnode-train fold` and `cross-validate`: a recipe judged on a set that it learns from."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_training.commands.compare import Json, console, write_text


def fold(
    radiographs: Annotated[Path, typer.Option(help="The set: images/, masks/<structure>/.")],
    out: Annotated[Path, typer.Option(help="Folder for fold_1, fold_2 ... of links to its files.")],
    count: Annotated[int, typer.Option("--folds", help="How many.")] = 2,
    seed: Annotated[int, typer.Option(help="Another one deals the patients out otherwise.")] = 0,
) -> None:
    """Deal the patients of a set into folds: of each, what a network learns from and what is kept from it."""
    from pipeline_training.folds import write_folds
    from pipeline_training.radiograph_folders import unsaid_patients

    for each in write_folds(radiographs, count, out, seed):
        console().print(str(each), markup=False, highlight=False, soft_wrap=True)
    if said := unsaid_patients(radiographs):
        console().print(said, markup=False, highlight=False, soft_wrap=True)


def cross_validate(
    folds: Annotated[Path, typer.Option(help="The folder that `fold` wrote.")],
    bundle: Annotated[list[Path], typer.Option(help="Of each fold's network, that of fold 1 first.")],
    page: Annotated[Path, typer.Option(help="The Markdown page to write.")],
    recipe: Annotated[str, typer.Option(help="What made the networks: a sentence for the page.")] = "",
    json: Json = None,
) -> None:
    """Ask each fold's network about what was kept from it, and write all answers as one page."""
    from pipeline_training.cross_validation import cross_validate as ask
    from pipeline_training.cross_validation import cross_validation_page
    from pipeline_training.evaluate import EvaluateOptions

    found = ask(folds, bundle, EvaluateOptions(data=folds))
    write_text(page, cross_validation_page(found, recipe))
    write_text(json, "[\n" + ",\n".join(each.to_json() for each in found) + "]\n")
