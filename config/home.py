"""Where the versions of a settings file lie, and who asks for it."""

import os
import pwd
import tomllib
from pathlib import Path

from config.settings import environment, sudo_user
from config.versions import Versions

SUFFIX = ".versions"
IN_DATA_FOLDER = "configuration"

DEFAULT_DATA_DIR = "./paxnode-data"
"""As in `config.network.NodeSettings`; for a file that nobody can read it from."""


def versions_of(path: Path) -> Versions:
    """Return the versions of a settings file.

    They lie in `configuration` in the data folder if that is there: a node that could not write beside its
    settings file has begun it. Else they lie beside the file, if one can write there; else they will lie in
    the data folder.
    """
    inside = data_dir_of(path) / IN_DATA_FOLDER
    if inside.is_dir():
        return Versions(inside)
    real = path.resolve()
    beside = real.with_name(f"{real.name}{SUFFIX}")
    place = beside if beside.is_dir() else beside.parent
    return Versions(beside if os.access(place, os.R_OK | os.W_OK | os.X_OK) else inside)


def data_dir_of(path: Path) -> Path:
    """Return the data folder that a settings file names, also one that cannot be used otherwise."""
    overriding = {name.upper(): value for name, value in environment().items()}
    told = overriding.get("PAXNODE_NODE__DATA_DIR") or _told_in(path)
    return Path(told or DEFAULT_DATA_DIR)


def user() -> str:
    """Return the user that this process runs as; the one who became root by sudo, where that is known."""
    name = sudo_user() if os.geteuid() == 0 else ""
    if name:
        return name
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user without a name
        return f"uid {os.geteuid()}"


def _told_in(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = ""
    for line in lines:
        key, equals, _ = line.partition("=")
        if equals and key.strip() in {"data_dir", "node.data_dir"}:
            found = _text_in(line) or found
    return found


def _text_in(line: str) -> str:
    try:
        (value,) = tomllib.loads(line).values()
    except (tomllib.TOMLDecodeError, ValueError):
        return ""
    value = value.get("data_dir", "") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""
