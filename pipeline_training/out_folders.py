"""Folders to be written into, made before hours are spent on what goes there."""

from pathlib import Path

from pipeline_training.errors import OutputError


def make_folders(*folders: Path) -> None:
    """Make folders, and those above them.

    Raises:
        OutputError: If one cannot be made.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"cannot make the folder {folder}: {exc}") from exc
