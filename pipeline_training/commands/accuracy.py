"""`paxnode-train accuracy`: how well a bundle does beside readers and others, as a page of documentation."""

from pathlib import Path
from typing import Annotated

import typer

from ai.bundle import DEFAULT_BUNDLE
from pipeline_training.commands.compare import Json, write_text


def accuracy(
    data: Annotated[Path, typer.Option(help="A folder of sets of radiographs with readers' masks.")],
    page: Annotated[Path, typer.Option(help="The Markdown page to write.")],
    bundle: Annotated[Path, typer.Option(help="The model bundle: folder or .zip.")] = DEFAULT_BUNDLE,
    trained_on: Annotated[
        list[str] | None, typer.Option(help="The model was trained on this set: the page says so.")
    ] = None,
    json: Json = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Folder (no .zip) for the bundle with these figures in manifest and card."),
    ] = None,
) -> None:
    """Evaluate a bundle on all sets and write the page: scores with intervals, others' beside them."""
    from ai.bundle import Bundle
    from pipeline_training.accuracy_page import accuracy_page
    from pipeline_training.evaluate import EvaluateOptions, evaluate
    from pipeline_training.export import evaluated
    from pipeline_training.model_card import save_with_card
    from pipeline_training.out_folders import make_folders

    told = Bundle.load(bundle)
    if into is not None:
        make_folders(into)
    evaluation = evaluate(EvaluateOptions(data=data, bundle=bundle))
    found = evaluation.to_json()
    write_text(json, found)
    write_text(page, accuracy_page(evaluation, tuple(trained_on or ())))
    if into is not None:
        save_with_card(evaluated(told, found), into)
