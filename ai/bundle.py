"""The model bundle: weights together with what is needed to use and to trust them."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ai.errors import BundleError
from ai.manifest import Manifest
from ai.segmentation import ModelIdentity

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"

DEFAULT_BUNDLE: Path = Path(__file__).parent / "default_bundle"
"""The bundle that is installed with this package."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Weights and their manifest, verified against each other.

    Attributes:
        manifest: What the weights are.
        onnx_bytes: Content of model.onnx: input "image" (N, 1, S, S) float32; outputs "logits" (N, L, G, G),
            G at most S, and "view" (N, 2), logits of (frontal, lateral).
    """

    manifest: Manifest
    onnx_bytes: bytes

    def __post_init__(self) -> None:
        found = bundle_digest(self.onnx_bytes)
        if found != self.manifest.sha256:
            raise BundleError(f"{MODEL_FILE} has sha256 {found}, its manifest states {self.manifest.sha256}")

    @classmethod
    def load(cls, path: Path) -> "Bundle":
        """Return the bundle in a folder or .zip file.

        Raises:
            BundleError: If a part is missing or unreadable, or does not match manifest or label table.
        """
        manifest = Manifest.from_json(_read_part(path, MANIFEST_FILE).decode("utf-8", "replace"))
        return cls(manifest, _read_part(path, MODEL_FILE))

    def save(self, folder: Path) -> None:
        """Write model.onnx and manifest.json into the folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_FILE).write_bytes(self.onnx_bytes)
        (folder / MANIFEST_FILE).write_text(self.manifest.to_json(), encoding="utf-8")

    @property
    def identity(self) -> ModelIdentity:
        """What results name as their origin."""
        return ModelIdentity(self.manifest.id, self.manifest.version, self.manifest.sha256)


def bundle_digest(onnx_bytes: bytes) -> str:
    """Return the SHA-256 (hexadecimal) that a manifest carries for these weights."""
    return hashlib.sha256(onnx_bytes).hexdigest()


def _read_part(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            return (path / name).read_bytes()
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
