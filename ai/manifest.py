"""manifest.json of a model bundle: what the weights are, were made from, and can do."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ai.errors import BundleError, LabelError
from ai.labels import label, labels_digest
from ai.mirroring import can_be_told_twice
from ai.preprocess import HIGH_PERCENTILE, LOW_PERCENTILE
from ai.uncertainty import Reliability

VIEWS = frozenset({"frontal", "lateral"})
INPUT_SIZES = range(32, 4097)
NAME = re.compile(r"(?! )[ -\[\]-~]{1,64}(?<! )")
"""Characters of ISO_IR 6 without backslash, as a value of VR LO has them in every character set."""


@dataclass(frozen=True)
class TrainingData:
    """One source that the weights were trained on."""

    name: str
    licence: str
    use: str


@dataclass(frozen=True)
class JudgeFile:
    """What a manifest states of judge.onnx.

    Attributes:
        sha256: Of the file, hexadecimal.
        input_size: Rows and columns of its input.
    """

    sha256: str
    input_size: int

    def __post_init__(self) -> None:
        _require(_is_size(self.input_size), "judge: input_size", "be whole, in 32..4096", self.input_size)


@dataclass(frozen=True)
class Manifest:
    """The manifest of a model bundle.

    Attributes:
        id: Name of the model, without its version; it stands in results, as `NAME` allows.
        version: Of the weights, likewise.
        labels: Supported structures in the order of the network's output channels.
        views: Projections that the model was trained for, of "frontal" and "lateral".
        input_size: Rows and columns of the network's input.
        thresholds: Probability from which a pixel belongs to a structure, in (0, 1), for each label.
        sha256: Of model.onnx, hexadecimal.
        training_data: What the weights were made from.
        code_revision: Commit that trained and exported them.
        metrics: Figures of merit, by data set and structure.
        created: When, ISO 8601.
        opset: ONNX operator set version.
        limits: What the model must not be trusted with, in words.
        reliability: How far masks may be trusted, by label; labels without a curve are not judged.
        labels_digest: Identity of the label table that it was trained on.
        low_percentile: Of the input's normalisation, `ai.preprocess.LOW_PERCENTILE`.
        high_percentile: Of the input's normalisation, `ai.preprocess.HIGH_PERCENTILE`.
        judge: Of the network that looks at a picture first; None in a bundle without one.
        mirrored: Structures that are told of the mirrored picture as well (`ai.mirroring`), of frontal views.
    """

    id: str
    version: str
    labels: tuple[str, ...]
    views: tuple[str, ...]
    input_size: int
    thresholds: Mapping[str, float]
    sha256: str
    training_data: tuple[TrainingData, ...] = ()
    code_revision: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    opset: int = 0
    limits: str = ""
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    labels_digest: str = field(default_factory=labels_digest)
    low_percentile: float = LOW_PERCENTILE
    high_percentile: float = HIGH_PERCENTILE
    judge: JudgeFile | None = None
    mirrored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = (self.id, self.version)
        rule = "have 1 to 64 plain characters (ASCII without backslash, no space around)"
        _require(all(map(_is_name, names)), "id and version", rule, names)
        _require(
            self.labels_digest == labels_digest(),
            "labels_digest",
            f"be {labels_digest()}",
            self.labels_digest,
        )
        self._check_labels()
        _require(
            bool(self.views) and VIEWS.issuperset(self.views), "views", f"be of {sorted(VIEWS)}", self.views
        )
        _require(_is_size(self.input_size), "input_size", "be whole and lie in 32..4096", self.input_size)
        used = (LOW_PERCENTILE, HIGH_PERCENTILE)
        stated = (self.low_percentile, self.high_percentile)
        _require(stated == used, "normalisation", f"be the one of this node, {used}", stated)

    def _check_labels(self) -> None:
        distinct = bool(self.labels) and len(set(self.labels)) == len(self.labels)
        _require(distinct, "labels", "name each structure once", self.labels)
        for name in self.labels:
            try:
                label(name)
            except LabelError as exc:
                raise BundleError(f"manifest: labels: {exc}") from exc
            threshold = self.thresholds.get(name)
            valid = isinstance(threshold, float) and 0 < threshold < 1
            _require(valid, f"thresholds[{name!r}]", "be a number in (0, 1)", threshold)
        unknown = sorted(set(self.reliability) - set(self.labels))
        _require(not unknown, "reliability", "be of labels of the model", unknown)
        alone = sorted(set(self.mirrored) - set(can_be_told_twice(self.mirrored, self.labels)))
        _require(not alone, "mirrored", "be labels of the model, with their counterparts", alone)
        frontal = not self.mirrored or tuple(self.views) == ("frontal",)
        _require(frontal, "mirrored", "be of a model for frontal views alone", self.views)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Return the manifest in a JSON text; keys that are not ours are ignored.

        Raises:
            BundleError: If it is not JSON, a key is missing, or a value breaks a rule.
        """
        try:
            raw = json.loads(text)
            return cls(**_plain_values(raw), **_nested_values(raw))
        except BundleError:
            raise
        except KeyError as exc:
            raise BundleError(f"manifest: the key {exc} is missing") from exc
        except (ValueError, TypeError, AttributeError) as exc:
            raise BundleError(f"manifest: not readable: {exc}") from exc

    def rules(self) -> str:
        """Return the SHA-256 of labels, thresholds, curves of trust and what is told of mirrored pictures.

        It is "" where there are neither curves nor mirrored pictures.
        """
        if not self.reliability and not self.mirrored:
            return ""
        curves = {name: asdict(curve) for name, curve in self.reliability.items()}
        rules = [self.labels, dict(self.thresholds), curves] + [self.mirrored] * bool(self.mirrored)
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the text of manifest.json."""
        normalisation = {"low_percentile": self.low_percentile, "high_percentile": self.high_percentile}
        raw = {key: getattr(self, key) for key in _PLAIN_KEYS} | {
            "labels": list(self.labels),
            "views": list(self.views),
            "normalisation": normalisation,
            "thresholds": dict(self.thresholds),
            "training_data": [vars(source) for source in self.training_data],
            "reliability": {name: asdict(curve) for name, curve in self.reliability.items()},
        }
        if self.judge is not None:
            raw["judge"] = vars(self.judge)
        if self.mirrored:
            raw["mirrored"] = list(self.mirrored)
        return json.dumps(raw, indent=1, ensure_ascii=False) + "\n"


_PLAIN_KEYS = (
    "id", "version", "labels_digest", "input_size", "sha256", "code_revision", "metrics", "created", "opset",
    "limits",
)  # fmt: skip


def _plain_values(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: raw[key] for key in _PLAIN_KEYS}


def _nested_values(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "labels": tuple(raw["labels"]),
        "views": tuple(raw["views"]),
        "thresholds": {name: float(value) for name, value in raw["thresholds"].items()},
        "training_data": tuple(TrainingData(s["name"], s["licence"], s["use"]) for s in raw["training_data"]),
        "reliability": {name: _curve(raw_curve) for name, raw_curve in raw.get("reliability", {}).items()},
        "low_percentile": raw["normalisation"]["low_percentile"],
        "high_percentile": raw["normalisation"]["high_percentile"],
        "judge": None if raw.get("judge") is None else _judge_file(raw["judge"]),
        "mirrored": tuple(raw.get("mirrored", ())),
    }


def _judge_file(raw: dict[str, Any]) -> JudgeFile:
    return JudgeFile(sha256=raw["sha256"], input_size=raw["input_size"])


def _curve(raw: dict[str, float]) -> Reliability:
    return Reliability(raw["bar"], raw["intercept"], raw["expected"], raw["agreement"])


def _is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _is_size(value: object) -> bool:
    return type(value) is int and value in INPUT_SIZES


def _require(holds: bool, key: str, rule: str, found: object) -> None:
    if not holds:
        raise BundleError(f"manifest: {key} must {rule}, found {found!r}")
