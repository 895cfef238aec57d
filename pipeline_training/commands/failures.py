"""`paxnode-train failures`: the worst of many looks as pictures, for the model card."""

from pathlib import Path
from typing import Annotated

import typer

from ai.bundle import DEFAULT_BUNDLE
from pipeline_training.commands.compare import write_text


def failures(
    projections: Annotated[Path, typer.Option(help="Folder made by `paxnode-train project` or `build`.")],
    page: Annotated[Path, typer.Option(help="The Markdown page to write; its picture lies beside it.")],
    bundle: Annotated[Path, typer.Option(help="The model bundle: folder or .zip.")] = DEFAULT_BUNDLE,
    source: Annotated[
        list[str] | None, typer.Option(help="Where bodies come from, and their licence; may be repeated.")
    ] = None,
    looks: Annotated[int, typer.Option(min=1, help="Looks of each kind; the worst is shown.")] = 24,
) -> None:
    """Show the worst look of each kind (blurred, cropped, turned and so on), and whether the model knew."""
    from ai.bundle import Bundle
    from pipeline_training.contact_sheet import write_contact_sheet
    from pipeline_training.dataset import read_sources
    from pipeline_training.failures import failure_page, failure_sheet
    from pipeline_training.failures import failures as found_failures

    loaded, picture = Bundle.load(bundle), page.with_suffix(".png")
    found = found_failures(loaded, read_sources(projections, ()), looks)
    write_contact_sheet(picture, failure_sheet(found))
    write_text(page, failure_page(loaded, found, looks, picture.name, source or ()))
