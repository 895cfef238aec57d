"""What a training run is asked to do: every line that a run file may hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline_training.errors import TrainingError
from pipeline_training.network import SIZE_MULTIPLE
from pipeline_training.projections import NAMES

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class TrainOptions:
    """What `paxnode-train train` does.

    Attributes:
        projections: Folder made by `paxnode-train project`.
        out: Folder for checkpoint.pt and log.csv.
        radiographs: Folders of real radiographs with masks (one set each) to learn from as well.
        begin: A checkpoint whose network the run begins with; None begins with weights drawn at random.
        steps: Steps at each of `sizes`, in order.
        sizes: Input sizes, multiples of 32; starting small saves time.
        batch: Samples in a step.
        real_share: Share of a batch that is real, where there are real ones.
        told_share: Share of its structures that a look at a projection tells of, each time others; the
            emphasised ones always, so that there they weigh `emphasis` / `told_share` times as much. See
            `batches.Batches.tell`.
        style_share: Share of the projections (not of those made online) that are brought to the grey values
            of the radiographs before other changes of the grey scale.
        mirror_share: Share of the frontal projections that are shown mirrored; of these nothing but bones is
            known, see `mirror.mirrored`.
        learning_rate: Peak; AdamW with a warm-up and half a cosine.
        widths: Channels at the five strides.
        seed: Draws weights and data.
        validation_share: Share of the patients that is held back; with it, `best.pt` is the checkpoint of the
            best mean Dice on them, `validation.csv` tells all, and `pictures/` shows some.
        online_cases: Folders of labelled volumes of which new projections are made while the network trains.
        online_share: Share of a batch that they fill.
        online_processes: That make them.
        emphasised: Names of structures that weigh `emphasis` times as much as the others.
        emphasis: See `emphasised`.
        robust: Whether labels may be wrong along edges, as those of models are; see `loss.loss_of`.
        precision: "float32", or "bfloat16" for the network's arithmetic.
        device: "cpu" or "cuda".
        checkpoint_every: Steps.
        threads: CPU threads for the network.
        workers: Processes that prepare batches; a GPU wants as many as there are cores, two cores want one.
    """

    projections: Path
    out: Path
    radiographs: Sequence[Path] = ()
    begin: Path | None = None
    steps: tuple[int, ...] = (1200, 300)
    sizes: tuple[int, ...] = (256, 320)
    batch: int = 8
    real_share: float = 0.375
    told_share: float = 1.0
    style_share: float = 0.0
    mirror_share: float = 0.0
    learning_rate: float = 2e-3
    widths: tuple[int, ...] = (24, 48, 80, 128, 160)
    seed: int = 1
    validation_share: float = 0.0
    online_cases: Sequence[Path] = ()
    online_share: float = 0.25
    online_processes: int = 1
    emphasised: tuple[str, ...] = ()
    emphasis: float = 3.0
    robust: bool = False
    precision: str = "float32"
    device: str = "cpu"
    checkpoint_every: int = 100
    threads: int = 2
    workers: int = 1

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.sizes) or not self.steps:
            raise TrainingError(
                f"each size has its number of steps: found sizes {self.sizes}, steps {self.steps}"
            )
        if wrong := [size for size in self.sizes if size % SIZE_MULTIPLE]:
            raise TrainingError(f"sizes are multiples of {SIZE_MULTIPLE}, found {wrong[0]}")
        if self.precision not in PRECISIONS or self.device not in ("cpu", "cuda"):
            raise TrainingError(
                f"precision is one of {', '.join(PRECISIONS)}, device cpu or cuda: "
                f"found {self.precision!r} and {self.device!r}"
            )
        _check_emphasis(self.emphasised, self.emphasis)
        _check_shares(self)
        if self.workers < 1:
            raise TrainingError(f"workers are 1 or more, found {self.workers}")
        if not 0 <= self.real_share < 1 or self.batch < 2:
            raise TrainingError(
                "real_share lies in [0, 1) and batch is 2 or more (batch norm): "
                f"found {self.real_share} and {self.batch}"
            )


def _check_shares(options: TrainOptions) -> None:
    if not 0 <= options.validation_share < 1:
        raise TrainingError(f"validation_share lies in [0, 1), found {options.validation_share}")
    made = options.online_share if options.online_cases else 0.0
    if not 0 <= options.online_share <= 1 or options.real_share + made > 1:
        raise TrainingError(
            "real_share and online_share are shares of one batch: "
            f"found {options.real_share} and {options.online_share}"
        )
    if not 0 < options.told_share <= 1:
        raise TrainingError(f"told_share lies above 0 and is 1 at most, found {options.told_share}")
    if not 0 <= options.style_share <= 1:
        raise TrainingError(f"style_share lies in [0, 1], found {options.style_share}")
    if not 0 <= options.mirror_share <= 1:
        raise TrainingError(f"mirror_share lies in [0, 1], found {options.mirror_share}")


def _check_emphasis(emphasised: Sequence[str], emphasis: float) -> None:
    if unknown := [name for name in emphasised if name not in NAMES]:
        raise TrainingError(f"emphasised names structures of ours, found {unknown[0]!r}")
    if emphasis <= 0:
        raise TrainingError(f"emphasis lies above 0, found {emphasis}")
