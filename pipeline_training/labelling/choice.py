"""Which labellers a user named: words such as own=labeller.pt, nnunet=FOLDER or rules."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline_training.errors import LabellerError
from pipeline_training.labelling import cads, monai_bundle, nnunet_v2, totalsegmentator
from pipeline_training.labelling.atlas import AtlasLabeller
from pipeline_training.labelling.foreign import Axes, existing, library
from pipeline_training.labelling.labeller import Labeller
from pipeline_training.labelling.own_labeller import OwnLabeller
from pipeline_training.labelling.rules import RuleLabeller

RULES = "rules"


@dataclass(frozen=True)
class Kind:
    """A kind of labeller that is given by a path.

    Attributes:
        what: The path to it, for words.
        make: Makes it from the path and a device of torch.
        module: Of the library that it needs; "" for none.
        hint: How to install that.
    """

    what: str
    make: Callable[[Path, str], Labeller]
    module: str = ""
    hint: str = ""


def _totalsegmentator(fast: bool) -> Kind:
    def make(path: Path, device: str) -> Labeller:
        theirs = device.replace("cuda", "gpu")
        return totalsegmentator.TotalSegmentatorLabeller(path, fast, theirs)

    return Kind("the folder of weights", make, "totalsegmentator", totalsegmentator.HINT)


def _nnunet(axes: Axes) -> Kind:
    def make(path: Path, device: str) -> Labeller:
        return nnunet_v2.NnUnetV2Labeller(path, axes, device)

    return Kind("the model folder", make, "nnunetv2", nnunet_v2.HINT)


KINDS: Mapping[str, Kind] = {
    "own": Kind("the checkpoint", lambda path, _device: OwnLabeller(path)),
    "atlas": Kind("the labelled case", lambda path, _device: AtlasLabeller(path)),
    "nnunet": _nnunet(Axes.LPS),
    "nnunet-ras": _nnunet(Axes.RAS),
    "monai": Kind(
        "the bundle",
        lambda path, device: monai_bundle.MonaiBundleLabeller(path, device=device),
        "monai",
        monai_bundle.HINT,
    ),
    "totalsegmentator": _totalsegmentator(fast=False),
    "totalsegmentator-fast": _totalsegmentator(fast=True),
    "cads": Kind(
        "the folder of weights",
        lambda path, device: cads.CadsLabeller(path, cpu=device == "cpu"),
        "cads",
        cads.HINT,
    ),
}


def labellers_of(words: Iterable[str], device: str = "cpu") -> list[Labeller]:
    """Return the labellers that are named, in their order.

    Args:
        words: "rules", or a kind of `KINDS`, "=", and a path.
        device: Of torch, for the labellers of others; our own runs on the CPU.

    Raises:
        LabellerError: If none is named, a kind is unknown, or a path, weights or library is missing.
    """
    made = [labeller for word in words for labeller in _made(word, device)]
    if not made:
        raise LabellerError("name at least one labeller, such as --labeller own=labeller.pt")
    return made


def _made(word: str, device: str) -> list[Labeller]:
    if word == RULES:
        return [RuleLabeller()]
    name, equals, path = word.partition("=")
    kind = KINDS.get(name)
    if kind is None or not path:
        known = ", ".join((RULES, *(f"{each}=PATH" for each in KINDS)))
        fault = "names no path" if kind is not None and equals else "is no labeller"
        raise LabellerError(f"{word!r} {fault}; known are {known}")
    found = existing(Path(path), kind.what, f"it was named in {word!r}")
    if kind.module:
        library(kind.module, kind.hint)
    return [kind.make(found, device)]
