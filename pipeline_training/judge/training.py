"""Training of the judge: one visible loop, minutes on one core."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ai.appearance import KINDS, TURNS, Kind, Presentation
from pipeline_training.errors import DatasetError, TrainingError
from pipeline_training.judge.looks import draw_presentations, look, normalised, shown
from pipeline_training.judge.network import JUDGE_SIZE, STRIDE, Answers, JudgeNet
from pipeline_training.judge.pool import Picture, PoolOptions, read_pool
from pipeline_training.radiograph_folders import read_set
from pipeline_training.split import is_held_back

WEIGHT_DECAY = 1e-2
WARM_UP_STEPS = 60
SMOOTHING = 0.02
"""Share of the answer that is spread over all: a made picture must not teach certainty."""

TELL_EVERY = 100

SHARES = {
    (Kind.FRONTAL, True): 0.26,
    (Kind.FRONTAL, False): 0.14,
    (Kind.LATERAL, False): 0.22,
    (Kind.OTHER, True): 0.10,
    (Kind.OTHER, False): 0.28,
}
"""Of a batch, by (kind, whether real); what the pool lacks is shared out among the others."""

PRESENTATIONS = tuple(Presentation(*each) for each in product(TURNS, (False, True), (False, True)))
"""All sixteen ways to show a picture."""


@dataclass(frozen=True)
class JudgeOptions:
    """What `paxnode-train train-judge` does.

    Attributes:
        projections: Folders of projections of chests.
        radiographs: Sets of real frontal radiographs, all of them the right way up.
        beside: Folders of projections that are no chests.
        steps: Of `batch` looks each.
        batch: Looks in a step.
        learning_rate: Peak; AdamW with a warm-up and half a cosine.
        size: Rows and columns of the input.
        drawn: Number of drawn pictures in the pool.
        validation_share: Share of the real patients that is held back and only looked at.
        seed: Draws weights and data.
        threads: CPU threads.
    """

    projections: Sequence[Path]
    radiographs: Sequence[Path] = ()
    beside: Sequence[Path] = ()
    steps: int = 1200
    batch: int = 48
    learning_rate: float = 2e-3
    size: int = JUDGE_SIZE
    drawn: int = 1800
    validation_share: float = 0.12
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 4 or self.size % STRIDE:
            raise TrainingError(
                f"a judge is trained for 1 step or more on 4 looks or more of a multiple of {STRIDE} pixels: "
                f"found {self.steps}, {self.batch} and {self.size}"
            )


@dataclass(frozen=True)
class Trained:
    """A judge, and how often it was right on real patients that it did not learn from.

    Attributes:
        network: Ready to infer.
        validation: Share of right answers by question, over all sixteen presentations of each picture;
            nothing where nobody was held back.
        losses: Of every step.
    """

    network: JudgeNet
    validation: dict[str, float] = field(default_factory=dict)
    losses: tuple[float, ...] = ()


def train_judge(options: JudgeOptions, tell: Callable[[str], None] = lambda words: None) -> Trained:
    """Return a judge trained on a pool of pictures.

    Raises:
        DatasetError: If there is nothing of one kind to learn from.
        RadiographSetError: If a set cannot be read.
    """
    torch.set_num_threads(options.threads)
    sets = tuple(read_set(folder) for folder in options.radiographs)
    made_of = PoolOptions(options.projections, options.beside, sets, options.drawn, seed=options.seed)
    pool = read_pool(made_of)
    held = [p for p in pool if p.is_real and is_held_back(p.patient, options.validation_share, options.seed)]
    taught = [picture for picture in pool if picture not in held]
    tell(f"{len(taught)} pictures to learn from, {len(held)} of held-back patients")
    network, losses = _fit(Groups(taught), options, tell)
    return Trained(network, validate(network, held), losses)


class Groups:
    """Pictures to learn from, by kind and origin."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        groups = {key: [p for p in pictures if (p.kind, p.is_real) == key] for key in SHARES}
        self._groups = [group for group in groups.values() if group]
        if not self._groups:
            raise DatasetError("there is no picture to learn from")
        shares = np.array([share for key, share in SHARES.items() if groups[key]])
        self._shares = shares / shares.sum()

    def draw(self, count: int, generator: np.random.Generator) -> list[Picture]:
        """Return so many pictures, kinds and origins in their shares."""
        chosen = generator.choice(len(self._groups), count, p=self._shares)
        return [self._groups[i][int(generator.integers(len(self._groups[i])))] for i in chosen]


def _fit(
    groups: Groups, options: JudgeOptions, tell: Callable[[str], None]
) -> tuple[JudgeNet, tuple[float, ...]]:
    torch.manual_seed(options.seed)
    network = JudgeNet(options.size).train()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    losses: list[float] = []
    for step in range(options.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, options)
        generator = np.random.default_rng([options.seed, step])
        pictures = groups.draw(options.batch, generator)
        presentations = draw_presentations(len(pictures), generator)
        dice = torch.Generator().manual_seed(int(generator.integers(2**62)))
        image = look(_stacked(pictures), _aspects(pictures), presentations, options.size, dice)
        loss = loss_of(network(image), pictures, presentations)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
        if (step + 1) % TELL_EVERY == 0:
            tell(f"step {step + 1} of {options.steps}: loss {np.mean(losses[-TELL_EVERY:]):.3f}")
    return network.eval(), tuple(losses)


def rate(step: int, options: JudgeOptions) -> float:
    """Return the learning rate of a step: a warm-up, then half a cosine."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return options.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / options.steps))


def loss_of(
    answers: Answers, pictures: Sequence[Picture], presentations: Sequence[Presentation]
) -> torch.Tensor:
    """Return the loss: each question is asked only of pictures of which its answer is known.

    A turn or a grey scale is told of chests, a mirror of frontal ones: what is no chest may lie anyhow, and a
    lateral view may face either side.
    """
    kind = torch.tensor([picture.kind_index for picture in pictures])
    chest = kind != KINDS.index(Kind.OTHER)
    frontal = kind == KINDS.index(Kind.FRONTAL)
    turn = torch.tensor([TURNS.index(each.turn) for each in presentations])
    mirrored = torch.tensor([each.mirrored for each in presentations])
    inverted = torch.tensor([each.inverted for each in presentations])
    return (
        functional.cross_entropy(answers.kind, kind, label_smoothing=SMOOTHING)
        + _mean(
            functional.cross_entropy(answers.turn, turn, reduction="none", label_smoothing=SMOOTHING), chest
        )
        + _mean(_either(answers.mirrored, mirrored), frontal)
        + _mean(_either(answers.inverted, inverted), chest)
    )


def _either(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    smooth = truth.float() * (1 - SMOOTHING) + SMOOTHING / 2
    return functional.binary_cross_entropy_with_logits(logits[:, 0], smooth, reduction="none")


def _mean(values: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    return torch.where(asked, values, 0.0).sum() / asked.sum().clamp(min=1)


def validate(network: JudgeNet, pictures: Sequence[Picture]) -> dict[str, float]:
    """Return the share of right answers by question over all presentations; the kind over all pictures."""
    frontal = [picture for picture in pictures if picture.kind is Kind.FRONTAL]
    if not frontal:
        return {}
    right: dict[str, list[bool]] = {"kind": [], "turn": [], "mirrored": [], "inverted": []}
    for picture in pictures:
        answers = _asked(network, picture)
        right["kind"] += (answers.kind.argmax(1) == picture.kind_index).tolist()
        if picture.kind is not Kind.FRONTAL:
            continue
        truth = PRESENTATIONS
        right["turn"] += [TURNS[int(i)] == p.turn for i, p in zip(answers.turn.argmax(1), truth, strict=True)]
        for name in ("mirrored", "inverted"):
            found = getattr(answers, name)[:, 0] > 0
            right[name] += [bool(f) == getattr(p, name) for f, p in zip(found, truth, strict=True)]
    return {name: float(np.mean(answers)) for name, answers in right.items()}


@torch.no_grad()
def _asked(network: JudgeNet, picture: Picture) -> Answers:
    """Return the answers to a picture in all presentations, filling the network's square."""
    whole = _stacked([picture]).float() / 255
    image = functional.interpolate(whole, (network.size, network.size), mode="area")
    usual = image.expand(len(PRESENTATIONS), -1, -1, -1)
    inverted = torch.tensor([each.inverted for each in PRESENTATIONS])[:, None, None, None]
    lies = shown(torch.where(inverted, 1 - usual, usual), list(PRESENTATIONS))
    return network.answer(normalised(lies, torch.ones_like(lies, dtype=torch.bool)))


def _stacked(pictures: Sequence[Picture]) -> torch.Tensor:
    return torch.from_numpy(np.stack([picture.pixels for picture in pictures]))[:, None]


def _aspects(pictures: Sequence[Picture]) -> torch.Tensor:
    return torch.tensor([picture.aspect for picture in pictures], dtype=torch.float32)
