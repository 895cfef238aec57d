"""What a case's projections were made of: they do not outlive a case that was labelled anew or renamed."""

import hashlib
from pathlib import Path

from pipeline_training.errors import DatasetError

ORIGIN_FILE = "origin.sha256"


def origin_of(case: Path) -> str:
    """Return a digest of a case's files, their names and bytes; its own place does not matter."""
    total = hashlib.sha256()
    for file in [case] if case.is_file() else sorted(path for path in case.rglob("*") if path.is_file()):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{'' if file == case else file.relative_to(case).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def check_origin(folder: Path, case: Path) -> None:
    """Note what the projections in a folder are made of, or compare with what was noted.

    Raises:
        DatasetError: If they were made of other files.
    """
    noted, found = folder / ORIGIN_FILE, origin_of(case)
    if not noted.exists():
        folder.mkdir(parents=True, exist_ok=True)
        noted.write_text(found, encoding="ascii")
    elif noted.read_text(encoding="ascii") != found:
        raise DatasetError(
            f"{case.name} has changed since its projections were made: remove {folder} to make them anew"
        )
