"""Site fine-tuning: a bundle learns from corrected masks, and is kept only if it is not worse than it was.

Three phases, each letting more of the network move: the head, then the decoder too, then everything; what
lies deeper moves more slowly (gradual unfreezing and discriminative rates: Howard and Ruder, ACL 2018,
sections 3.2 and 3.3). Batch norm keeps the parent's statistics throughout.

What was corrected is taught by the corrections. Every other structure, and the view, is taught by the
parent's own answers to the very same augmented picture (learning without forgetting: Li and Hoiem, ECCV
2016), so that it is not forgotten: by cross-entropy alone, which is least at the parent's own probabilities
(`loss.loss_of`). Only structures that were corrected both in patients taught and in patients held back are
taught: what could not be checked is left to the parent.

The fine-tuned bundle is refused where it is worse than its parent on the patients held back, or where what
nobody corrected moved away; `pipeline_training.comparison` states the rule. comparison.json is written either
way.
"""

import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ai.bundle import MODEL_FILE, Bundle, bundle_digest
from ai.errors import BundleError
from ai.manifest import TrainingData
from pipeline_training.batches import Batch
from pipeline_training.comparison import Comparison, compare
from pipeline_training.corrected import Corrected, source_of
from pipeline_training.dataset import Source, make_sample
from pipeline_training.errors import ExportError, OutputError, TrainingError
from pipeline_training.export import check_parity, code_revision
from pipeline_training.loss import loss_of
from pipeline_training.network import AnatomyNet
from pipeline_training.onnx_graph import OPSET, to_onnx
from pipeline_training.parent import label_ids, load_parent
from pipeline_training.seg_folders import read_corrected
from pipeline_training.split import is_held_back
from pipeline_training.train import AVERAGING, GRADIENT_NORM, follow

COMPARISON_FILE = "comparison.json"
BUNDLE_FOLDER = "bundle"

LEAST_HELD_BACK = 3
"""Patients; fewer say nothing about the next one."""

LEAST_TAUGHT = 3

PHASES = (("head", "context"), ("head", "context", "up"), ("head", "context", "up", "stem", "down"))
"""Parts of `AnatomyNet` that move in each phase; the view's own layer never does."""

RATE_FACTORS = {"head": 1.0, "context": 0.38, "up": 0.38, "stem": 0.15, "down": 0.15}
"""Each depth learns 2.6 times more slowly than the one above it (Howard and Ruder, section 3.2); contexts
read the decoder and learn as it does."""

WARM_UP_SHARE = 0.1
"""Of a phase's steps; half a cosine follows."""


@dataclass(frozen=True)
class FinetuneOptions:
    """What `paxnode-train finetune` does.

    Attributes:
        bundle: The parent: folder or .zip.
        data: Corrected images, as `seg_folders.read_corrected` takes them.
        out: Folder for comparison.json and, if all is well, bundle/.
        steps: Of each phase: head, decoder, everything. 0 leaves a phase out.
        version: Of the new bundle; "" makes one of the parent's version and the new weights' hash.
        checkpoint: The one that the parent was exported from, if it is at hand.
        only: Names of the structures to learn, joined by commas; "" takes all that were corrected.
        held_back: Share of the patients that is only looked at, in (0, 1).
        seed: Draws who is held back, and the data.
        learning_rate: Peak, of the head; AdamW.
        batch: Samples in a step.
        threads: CPU threads.
        device: "cpu" or "cuda".
    """

    bundle: Path
    data: Path
    out: Path
    steps: tuple[int, int, int] = (60, 120, 240)
    version: str = ""
    checkpoint: Path | None = None
    only: str = ""
    held_back: float = 0.3
    seed: int = 1
    learning_rate: float = 1e-3
    batch: int = 6
    threads: int = 2
    device: str = "cpu"

    def __post_init__(self) -> None:
        if len(self.steps) != len(PHASES) or min(self.steps) < 0 or not sum(self.steps):
            raise TrainingError(f"steps are {len(PHASES)} numbers, not all of them 0: found {self.steps}")
        if not 0 < self.held_back < 1:
            raise TrainingError(f"the share that is held back lies in (0, 1), found {self.held_back}")
        if self.learning_rate <= 0 or self.batch < 1:
            raise TrainingError(
                f"learning rate and batch are above 0, found {self.learning_rate} and {self.batch}"
            )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The structures in `only`."""
        return tuple(name.strip() for name in self.only.split(",") if name.strip())


@dataclass(frozen=True, eq=False)
class Parted:
    """Who is taught and who is held back, and what is learned.

    Attributes:
        taught: Images of patients learned from.
        held: Images of patients only looked at.
        structures: Label names that are taught by corrections.
        left_out: Structures that were corrected but are not taught, and why.
    """

    taught: tuple[Corrected, ...]
    held: tuple[Corrected, ...]
    structures: tuple[str, ...]
    left_out: dict[str, str]


def finetune(options: FinetuneOptions, tell: Callable[[str], None] = lambda words: None) -> Bundle:
    """Fine-tune a bundle, and return the new one if it is not worse than its parent.

    Args:
        options: What to do.
        tell: Is given a line as each stage begins.

    Raises:
        ai.errors.BundleError: If the parent cannot be trusted.
        TrainingError: If its network is not of our kind, patients are too few, nothing supported was
            corrected, or the loss is no longer a number.
        RadiographSetError: If the data cannot be used.
        OutputError: If `out` holds a bundle already.
        ExportError: If the fine-tuned bundle is worse than its parent, or its answers for a structure that
            nobody corrected moved away from the parent's; comparison.json says in what.
    """
    target = options.out / BUNDLE_FOLDER
    if (target / MODEL_FILE).exists():
        raise OutputError(f"{target} holds a bundle already: name another folder")
    torch.set_num_threads(options.threads)
    parent = Bundle.load(options.bundle)
    if options.version == parent.manifest.version:
        raise TrainingError(f"version {options.version} is the parent's own")
    network = load_parent(parent, options.checkpoint)
    parted = part(read_corrected(options.data), parent.manifest.labels, options)
    tell(f"learning {len(parted.structures)} structures from {len(parted.taught)} images")
    tuned = _bundle(_learned(network, parted, parent, options, tell), parent, parted, options)
    tell(f"comparing with the parent on {len(parted.held)} images of patients held back")
    comparison = compare(parent, tuned, parted.held, parted.structures)
    if not comparison.pairs:
        raise TrainingError("no image held back shows a corrected structure: nothing can be compared")
    told = replace(tuned.manifest, metrics={"fine-tuning": _figures(comparison)})
    tuned = replace(tuned, manifest=told)
    _write(options, parent, tuned, parted, comparison)
    if reasons := comparison.reasons():
        raise ExportError(
            f"the fine-tuned bundle is worse than its parent and was not written: {'; '.join(reasons)} "
            f"(see {options.out / COMPARISON_FILE})"
        )
    tuned.save(target)
    return tuned


def part(corrected: Sequence[Corrected], supported: Sequence[str], options: FinetuneOptions) -> Parted:
    """Return who is taught and who is held back, by patient, and which structures are learned.

    Raises:
        TrainingError: If patients are too few on a side, or no structure can be learned and checked.
    """
    held = [each for each in corrected if is_held_back(each.patient, options.held_back, options.seed)]
    taught = [each for each in corrected if each not in held]
    counts = [len({each.patient for each in side}) for side in (taught, held)]
    if counts[0] < LEAST_TAUGHT or counts[1] < LEAST_HELD_BACK:
        raise TrainingError(
            f"too few patients: {counts[0]} to learn from and {counts[1]} held back (share "
            f"{options.held_back}, seed {options.seed}), at least {LEAST_TAUGHT} and {LEAST_HELD_BACK} are "
            "needed: correct images of more patients"
        )
    here = [Counter(name for each in side for name in each.structures) for side in (taught, held)]
    left_out: dict[str, str] = {}
    for name in sorted({*here[0], *here[1]}):
        reasons = {
            "the bundle does not support it": name not in supported,
            "not asked for": bool(options.wanted) and name not in options.wanted,
            "not corrected in any patient taught": not here[0][name],
            "not corrected in any patient held back": not here[1][name],
        }
        if stated := [reason for reason, holds in reasons.items() if holds]:
            left_out[name] = stated[0]
    learned = tuple(name for name in supported if name in {*here[0], *here[1]} - set(left_out))
    if not learned or set(options.wanted) - set(learned):
        missing = sorted(set(options.wanted) - set(learned)) or sorted(left_out)
        words = "; ".join(f"{name}: {left_out.get(name, 'not corrected')}" for name in missing[:5])
        raise TrainingError(f"cannot be learned: {words or 'no mask was drawn'}")
    return Parted(tuple(taught), tuple(held), learned, left_out)


def _learned(
    parent: AnatomyNet, parted: Parted, bundle: Bundle, options: FinetuneOptions, tell: Callable[[str], None]
) -> AnatomyNet:
    """Return the averaged network after all phases; the loop."""
    torch.manual_seed(options.seed)
    parent = parent.to(options.device).requires_grad_(False)
    network, average = copy.deepcopy(parent), copy.deepcopy(parent)
    sources = [source_of(each, parted.structures) for each in parted.taught]
    batches = _batches(sources, label_ids(bundle), bundle.manifest.input_size, options)
    done = 0
    for parts, steps in zip(PHASES, options.steps, strict=True):
        optimiser = _unfrozen(network, parts)
        parts_of_loss: dict[str, float] = {}
        for step in range(steps):
            _set_rates(optimiser, options.learning_rate * rate_of(step, steps))
            parts_of_loss = _step(network, parent, optimiser, next(batches).to(options.device))
            done += 1
            follow(average, network, min(AVERAGING, done / (done + 9)))
        if steps:
            figures = ", ".join(f"{name} {value:.4f}" for name, value in parts_of_loss.items())
            tell(f"{steps} steps of {' and '.join(parts)}: {figures}")
    return average.cpu()


def _batches(
    sources: Sequence[Source], labels: Sequence[int], size: int, options: FinetuneOptions
) -> Iterator[Batch]:
    """Yield batches without end, each a function of the seed and its number."""
    step = 0
    while True:
        samples = []
        for k in range(options.batch):
            generator = np.random.default_rng([options.seed, step, k])
            source = sources[int(generator.integers(len(sources)))]
            samples.append(make_sample(source, labels, size, generator))
        yield Batch.of(samples)
        step += 1


def _unfrozen(network: AnatomyNet, parts: Sequence[str]) -> torch.optim.Optimizer:
    """Let parts of the network move, and nothing else; norms keep their statistics (evaluation mode)."""
    network.eval().requires_grad_(False)
    groups = []
    for name in parts:
        module: nn.Module = getattr(network, name).requires_grad_(True)
        groups.append({"params": list(module.parameters()), "factor": RATE_FACTORS[name]})
    return torch.optim.AdamW(groups, weight_decay=0.0)


def rate_of(step: int, steps: int) -> float:
    """Return the share of the peak rate: a short warm-up, then half a cosine.

    >>> [round(rate_of(step, 100), 2) for step in (0, 9, 55, 99)]
    [0.1, 1.0, 0.5, 0.0]
    """
    warm = max(1, round(WARM_UP_SHARE * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))


def _set_rates(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def _step(
    network: AnatomyNet, parent: AnatomyNet, optimiser: torch.optim.Optimizer, batch: Batch
) -> dict[str, float]:
    loss, parts = loss_of(network(batch.image), told_by(parent, batch), drawn=batch.known)
    if not math.isfinite(loss.item()):
        raise TrainingError(f"the loss is no number ({parts}); lower the learning rate")
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    optimiser.step()
    return parts


def told_by(parent: AnatomyNet, batch: Batch) -> Batch:
    """Return the batch with the parent's probabilities for what nobody corrected, and for the view."""
    with torch.no_grad():
        answer = parent(batch.image)
    corrected = batch.known[:, :, None, None]
    target = torch.where(corrected, batch.target, torch.sigmoid(answer.logits))
    return replace(
        batch, target=target, known=torch.ones_like(batch.known), view=torch.softmax(answer.view, dim=1)
    )


def _bundle(network: AnatomyNet, parent: Bundle, parted: Parted, options: FinetuneOptions) -> Bundle:
    """Return the new bundle, not yet compared: a manifest that names its parent."""
    old, size = parent.manifest, parent.manifest.input_size
    content = to_onnx(network, size)
    check_parity(network, content, size)
    sha256 = bundle_digest(content)
    origin = f"{old.id} {old.version}, sha256 {old.sha256}"
    patients = len({each.patient for each in parted.taught})
    source = TrainingData(
        name="corrected masks of a site",
        licence="of the site, not to be passed on",
        use=f"fine-tuning of {origin}: {', '.join(parted.structures)}; {patients} patients",
    )
    limits = f"{old.limits} Fine-tuned from {origin} on {patients} patients of one site.".strip()
    try:
        manifest = replace(
            old, version=options.version or f"{old.version}+site.{sha256[:8]}", sha256=sha256, limits=limits,
            training_data=(*old.training_data, source), code_revision=code_revision(), metrics={},
            created=datetime.now(UTC).isoformat(timespec="seconds"), opset=OPSET,
        )  # fmt: skip
        return Bundle(manifest, content, parent.judge_bytes)
    except BundleError as exc:
        raise ExportError(f"the bundle does not pass the node's own check: {exc}") from exc


def _figures(comparison: Comparison) -> dict[str, Any]:
    whole = comparison.as_json()
    return whole | {"images": len({pair.image for pair in comparison.pairs})}


def _write(
    options: FinetuneOptions, parent: Bundle, tuned: Bundle, parted: Parted, comparison: Comparison
) -> None:
    described = {
        "parent": asdict(parent.identity),
        "tuned": asdict(tuned.identity),
        "exported": not comparison.reasons(),
        "patients_taught": len({each.patient for each in parted.taught}),
        "patients_held_back": len({each.patient for each in parted.held}),
        "options": {key: str(value) for key, value in asdict(options).items()},
        "corrected_but_not_taught": parted.left_out,
        **comparison.as_json(),
    }
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
        (options.out / COMPARISON_FILE).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write {options.out / COMPARISON_FILE}: {exc}") from exc
