"""Arrays to arrays: labels, pre-processing, inference, masks, measurements. No DICOM, no settings.

The names below are for those who use it from Python (docs/python.md). Each is imported when it is first asked
for, so that `import ai` costs next to nothing and does not start ONNX Runtime.

ONNX Runtime from version 1.32 on tells its maker of the machine that it runs on, and keeps an identity of it
in the home folder. It looks for the variable below while it is imported and is silent then; the function that
it has for this comes too late. Every module that imports it lies in this package, or in one that imports this
first.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251  it is written, not read

if TYPE_CHECKING:
    from ai.film import Film
    from ai.model import Analysis, Model, load_model
    from ai.pictures import film_from_array, read_picture
    from ai.radiograph import View
    from ai.upright import Rules

__all__ = ["Analysis", "Film", "Model", "Rules", "View", "film_from_array", "load_model", "read_picture"]

_MODULES = {
    "Analysis": "model",
    "Film": "film",
    "Model": "model",
    "Rules": "upright",
    "View": "radiograph",
    "film_from_array": "pictures",
    "load_model": "model",
    "read_picture": "pictures",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(import_module(f"ai.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'ai' has no attribute {name!r}")
