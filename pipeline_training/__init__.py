"""CT to weights: volumes, projection, training, evaluation, export. torch lives here and only here."""

import ai  # noqa: F401 - before ONNX Runtime, so that it is silent
