"""What can go wrong between CT volumes and a model bundle.

PipelineError
├── VolumeError            a CT or its label map that cannot be used: orientation, grid, labels
├── LabellerError          a labeller that cannot answer: not installed, no weights, an unfit volume
├── DatasetError           projections that cannot be trained on: missing, unreadable, a leaking split
├── BuildError             a data set that cannot be built: no scheduler, a folder of another build
├── TrainingError          a training run that cannot start, go on or be resumed
├── ExportError            an exported network that differs from its checkpoint, an incomplete manifest
├── OutputError            a file or folder that cannot be written
└── EvaluationError        an evaluation that cannot be made
    └── RadiographSetError     a folder of radiographs and masks that cannot be compared with our labels
"""


class PipelineError(Exception):
    """The root of this package's errors."""


class VolumeError(PipelineError):
    """A CT or its label map cannot be used."""


class LabellerError(PipelineError):
    """A labeller cannot answer."""


class DatasetError(PipelineError):
    """Projections on disk cannot be trained on."""


class BuildError(PipelineError):
    """A data set cannot be built."""


class TrainingError(PipelineError):
    """A training run cannot start, go on or be resumed."""


class ExportError(PipelineError):
    """An exported network differs from its checkpoint, or its manifest is incomplete."""


class OutputError(PipelineError):
    """A file or folder cannot be written."""


class EvaluationError(PipelineError):
    """An evaluation cannot be made."""


class RadiographSetError(EvaluationError):
    """A folder of radiographs and masks cannot be compared with our labels."""
