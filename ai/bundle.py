"""The model bundle: weights together with what is needed to use and to trust them."""

import hashlib
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ai.errors import BundleError
from ai.manifest import JudgeFile, Manifest
from ai.segmentation import ModelIdentity

if TYPE_CHECKING:
    from ai.judge import Judge

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
JUDGE_FILE = "judge.onnx"
"""A bundle may hold one: `ai.judge.Judge`."""

DEFAULT_BUNDLE: Path = Path(__file__).parent / "default_bundle"
"""The bundle that is installed with this package."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Weights and their manifest, verified against each other.

    Attributes:
        manifest: What the weights are.
        onnx_bytes: Content of model.onnx: input "image" (N, 1, S, S) float32; outputs "logits" (N, L, G, G),
            G at most S, and "view" (N, 2), logits of (frontal, lateral).
        judge_bytes: Content of judge.onnx, where the manifest states one.
    """

    manifest: Manifest
    onnx_bytes: bytes
    judge_bytes: bytes | None = None

    def __post_init__(self) -> None:
        _check_digest(MODEL_FILE, self.onnx_bytes, self.manifest.sha256)
        stated = self.manifest.judge
        if (stated is None) != (self.judge_bytes is None):
            has, says = ("no", "one") if stated else ("a", "none")
            raise BundleError(f"the bundle has {has} {JUDGE_FILE}, its manifest states {says}")
        if stated is not None and self.judge_bytes is not None:
            _check_digest(JUDGE_FILE, self.judge_bytes, stated.sha256)

    @classmethod
    def load(cls, path: Path) -> "Bundle":
        """Return the bundle in a folder or .zip file.

        Raises:
            BundleError: If a part is missing or unreadable, or does not match manifest or label table.
        """
        manifest = manifest_of(path)
        judge_bytes = None if manifest.judge is None else _read_part(path, JUDGE_FILE)
        return cls(manifest, _read_part(path, MODEL_FILE), judge_bytes)

    def with_judge(self, judge_bytes: bytes) -> "Bundle":
        """Return the bundle with this judge in it, in place of any other.

        Raises:
            BundleError: If it is no network that judges pictures.
        """
        from ai.judge import Judge, judge_size

        size = judge_size(judge_bytes)
        Judge(judge_bytes, size)
        stated = JudgeFile(bundle_digest(judge_bytes), size)
        return Bundle(replace(self.manifest, judge=stated), self.onnx_bytes, judge_bytes)

    def judge(self) -> "Judge | None":
        """Return the judge, ready to look at pictures; None where the bundle has none.

        Raises:
            BundleError: If its network does not load or is not what the manifest states.
        """
        if self.manifest.judge is None or self.judge_bytes is None:
            return None
        from ai.judge import Judge

        return Judge(self.judge_bytes, self.manifest.judge.input_size)

    def save(self, folder: Path) -> None:
        """Write model.onnx, manifest.json and perhaps judge.onnx into the folder, made if need be.

        A bundle that lies there already is replaced once all files are written; its judge goes where this one
        has none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        parts = {MODEL_FILE: self.onnx_bytes, MANIFEST_FILE: self.manifest.to_json().encode()}
        if self.judge_bytes is not None:
            parts[JUDGE_FILE] = self.judge_bytes
        try:
            for name, content in parts.items():
                (folder / f"{name}.new").write_bytes(content)
            for name in parts:
                (folder / f"{name}.new").replace(folder / name)
        finally:
            for name in parts:
                with suppress(
                    OSError
                ):  # what could not be written must be told, not what could not be removed
                    (folder / f"{name}.new").unlink()
        if self.judge_bytes is None:
            (folder / JUDGE_FILE).unlink(missing_ok=True)

    @property
    def identity(self) -> ModelIdentity:
        """What results name as their origin."""
        manifest = self.manifest
        return ModelIdentity(manifest.id, manifest.version, manifest.sha256, manifest.rules())


def manifest_of(path: Path) -> Manifest:
    """Return the manifest of the bundle in a folder or .zip file, without the rest of it.

    Raises:
        BundleError: If it is missing or unreadable, or does not match the label table.
    """
    return Manifest.from_json(_read_part(path, MANIFEST_FILE).decode("utf-8", "replace"))


def bundle_digest(onnx_bytes: bytes) -> str:
    """Return the SHA-256 (hexadecimal) that a manifest carries for these weights."""
    return hashlib.sha256(onnx_bytes).hexdigest()


def _check_digest(name: str, content: bytes, stated: str) -> None:
    found = bundle_digest(content)
    if found != stated:
        raise BundleError(f"{name} has sha256 {found}, its manifest states {stated}")


def _read_part(path: Path, name: str) -> bytes:
    try:
        # Reading what is no file, such as a pipe, may never end.
        if path.is_dir():
            if not (path / name).is_file():
                raise BundleError(f"cannot read {name} of the model bundle {path}: there is no such file")
            return (path / name).read_bytes()
        if path.exists() and not path.is_file():
            raise BundleError(f"the model bundle {path} is neither a folder nor a .zip file")
        with zipfile.ZipFile(path) as archive:
            return archive.read(_member(archive, name))
    except (OSError, zipfile.BadZipFile, KeyError) as exc:
        raise BundleError(f"cannot read {name} of the model bundle {path}: {exc}") from exc


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """Return the member of that file name, at the top or inside the one folder that was zipped."""
    found = [member for member in archive.namelist() if member == name or member.endswith(f"/{name}")]
    if len(found) != 1:
        raise KeyError(f"{len(found)} files are called {name}")
    return found[0]
