"""Fine-tuning end to end: a bundle that got better is written, one that got worse is not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from ai.bundle import Bundle, bundle_digest
from ai.manifest import Manifest
from pipeline_training.batches import Batch
from pipeline_training.commands.finetune import finetune as command
from pipeline_training.comparison import compare
from pipeline_training.corrected import read_pictures, source_of
from pipeline_training.dataset import make_sample
from pipeline_training.errors import ExportError, OutputError, RadiographSetError, TrainingError
from pipeline_training.finetune import PHASES, FinetuneOptions, _unfrozen, finetune, part, told_by
from pipeline_training.loss import loss_of
from pipeline_training.network import AnatomyNet, Outputs
from pipeline_training.onnx_graph import to_onnx
from pipeline_training.parent import load_parent
from pipeline_training.seg_folders import read_corrected
from pipeline_training.split import is_held_back

WIDTHS = (4, 6, 8, 10, 12)
LABELS = ("heart", "aorta", "trachea")
SIZE = 32
PICTURE = 96
PATIENTS = tuple(f"p{i}" for i in range(12))
HELD_SHARE, SEED = 0.3, 1


def is_held(patient: str) -> bool:
    return is_held_back(patient, HELD_SHARE, SEED)


def disc(number: int) -> npt.NDArray[np.bool_]:
    """Return where the heart of a patient lies, bool (96, 96)."""
    centre = np.random.default_rng(number).uniform(40, 56, 2)
    rows, columns = np.mgrid[:PICTURE, :PICTURE]
    return np.asarray(np.hypot(rows - centre[0], columns - centre[1]) < 20, np.bool_)


def write(path: Path, pixels: npt.NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_site(folder: Path, mask_of: Callable[[str, npt.NDArray[np.bool_]], npt.NDArray[np.bool_]]) -> Path:
    """Write pictures of bright discs, and the masks that somebody draws of them."""
    for number, patient in enumerate(PATIENTS):
        truth = disc(number)
        grain = np.random.default_rng(number).integers(0, 30, truth.shape)
        write(folder / "images" / f"{patient}.png", 60 + 140 * truth + grain)
        write(folder / "masks" / "heart" / f"{patient}.png", 255 * mask_of(patient, truth))
    return folder


def blank() -> AnatomyNet:
    """Return a network that knows nothing but that every picture is a frontal one."""
    torch.manual_seed(0)
    network = AnatomyNet(len(LABELS), WIDTHS).train()
    for _ in range(3):
        network(torch.rand(4, 1, SIZE, SIZE))
    with torch.no_grad():
        network.view.bias.copy_(torch.tensor([6.0, -6.0]))
    return network.eval()


def finding(looks: torch.Tensor) -> AnatomyNet:
    """Return one that sees aorta and trachea in three tenths of the looks, with broad edges."""
    network = blank()
    bias = network.head.get_parameter("bias")
    with torch.no_grad():
        network.head.weight[1:] *= 300
        logits = network(looks).logits[:, 1:].transpose(0, 1).flatten(1)
        bias[1:] -= torch.quantile(logits, 0.7, dim=1)
    return network


def write_parent(folder: Path, network: AnatomyNet | None = None) -> Path:
    """Write the bundle of a network; without one, of a blank."""
    content = to_onnx(network or blank(), SIZE)
    manifest = Manifest(
        "tiny", "1.0", LABELS, ("frontal",), SIZE, dict.fromkeys(LABELS, 0.5), bundle_digest(content),
        limits="For tests.",
    )  # fmt: skip
    Bundle(manifest, content).save(folder)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("site"), lambda patient, truth: truth)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, site: Path) -> FinetuneOptions:
    root = tmp_path_factory.mktemp("finetune")
    return FinetuneOptions(
        write_parent(root / "parent"), site, root / "out", steps=(10, 20, 90), held_back=HELD_SHARE,
        seed=SEED, learning_rate=3e-2, batch=4, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tuned(options: FinetuneOptions) -> Bundle:
    return finetune(options)


def comparison(options: FinetuneOptions) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((options.out / "comparison.json").read_text())
    return found


def test_improvement_is_exported(tuned: Bundle, options: FinetuneOptions) -> None:
    found = comparison(options)
    assert found["exported"]
    assert found["worse"] == []
    heart = found["structures"]["heart"]
    assert heart["images"] == sum(map(is_held, PATIENTS)) == found["patients_held_back"]
    assert heart["parent"] < 0.4 < 0.6 < heart["tuned"]
    assert found["mean_difference"]["low"] > 0
    assert {pair["image"] for pair in found["images"]} == {f"{p}.png" for p in PATIENTS if is_held(p)}
    assert Bundle.load(options.out / "bundle").identity == tuned.identity


def test_new_manifest_names_its_parent(tuned: Bundle, options: FinetuneOptions) -> None:
    parent = Bundle.load(options.bundle)
    assert tuned.manifest.version == f"1.0+site.{tuned.manifest.sha256[:8]}"
    origin = f"tiny 1.0, sha256 {parent.manifest.sha256}"
    assert origin in tuned.manifest.limits
    assert origin in tuned.manifest.training_data[-1].use
    assert tuned.manifest.metrics["fine-tuning"]["structures"].keys() == {"heart"}
    assert (tuned.manifest.id, tuned.manifest.labels) == ("tiny", LABELS)


def test_structures_nobody_corrected_are_not_forgotten(tuned: Bundle, options: FinetuneOptions) -> None:
    """Answers of the two bundles to a held-back picture, where the parent's own vary."""
    before, after = (load_parent(bundle) for bundle in (Bundle.load(options.bundle), tuned))
    held = next(each for each in read_corrected(options.data) if is_held(each.patient))
    pixels = torch.from_numpy(source_of(held, ("heart",)).tissues.astype(np.float32))
    image = torch.nn.functional.interpolate(pixels[None], size=(SIZE, SIZE))
    with torch.no_grad():
        old, new = before(image), after(image)
    moved = (torch.sigmoid(new.logits) - torch.sigmoid(old.logits)).abs().mean(dim=(0, 2, 3))
    assert moved[0] > 0.1
    assert moved[1:].max() < 0.03
    assert float((torch.softmax(new.view, 1) - torch.softmax(old.view, 1)).abs().max()) < 0.05


def test_masks_of_what_nobody_corrected_stay(options: FinetuneOptions, tmp_path: Path) -> None:
    """A parent that finds two more structures, none too surely; only the heart is corrected anywhere."""
    sources = [source_of(each, ("heart",)) for each in read_corrected(options.data)]
    looks = torch.stack(
        [make_sample(each, (0, 1, 2), SIZE, np.random.default_rng(5)).image for each in sources]
    )
    folder = write_parent(tmp_path / "parent", finding(looks))
    new = replace(options, bundle=folder, out=tmp_path / "out", steps=(40, 20, 0), learning_rate=3e-3)
    before, after = (load_parent(bundle) for bundle in (Bundle.load(folder), finetune(new)))
    held = looks[[is_held(patient) for patient in sorted(PATIENTS)]]
    with torch.no_grad():
        old, now = (network(held).logits[:, 1:] > 0 for network in (before, after))
    axes = (0, 2, 3)
    assert float(old.float().mean()) == pytest.approx(0.3, abs=0.1)
    assert float((2 * (old & now).sum(axes) / (old.sum(axes) + now.sum(axes))).min()) > 0.98
    assert set(comparison(new)["agreement_of_uncorrected_structures"]) == {"aorta", "trachea"}


def test_harm_is_refused_and_told(tuned: Bundle, options: FinetuneOptions, tmp_path: Path) -> None:
    """Patients taught are corrected to nonsense, those held back are right: the child gets worse."""
    assert tuned.manifest.id == "tiny"
    wrong = write_site(tmp_path / "wrong", lambda patient, truth: truth if is_held(patient) else ~truth)
    harmful = replace(
        options, bundle=options.out / "bundle", data=wrong, out=tmp_path / "out", steps=(5, 10, 30)
    )
    with pytest.raises(
        ExportError, match=r"worse than its parent .*mean Dice changes by -0\..*heart changes"
    ):
        finetune(harmful)
    found = comparison(harmful)
    assert not found["exported"]
    assert found["structures"]["heart"]["parent"] > found["structures"]["heart"]["tuned"] + 0.1
    assert not (harmful.out / "bundle").exists()


def test_same_seed_gives_the_same_weights(options: FinetuneOptions, tmp_path: Path) -> None:
    short = [replace(options, out=tmp_path / name, steps=(1, 1, 1), learning_rate=1e-9) for name in "ab"]
    found = [finetune(each).manifest.sha256 for each in short]
    assert found[0] == found[1]


def test_judge_of_the_parent_goes_over(
    options: FinetuneOptions, make_judge: Callable[..., bytes], tmp_path: Path
) -> None:
    judge = make_judge()
    Bundle.load(options.bundle).with_judge(judge).save(tmp_path / "parent")
    short = replace(
        options, bundle=tmp_path / "parent", out=tmp_path / "out", steps=(1, 0, 0), learning_rate=1e-9
    )
    finetune(short)
    assert Bundle.load(short.out / "bundle").judge_bytes == judge


def test_too_few_patients_are_refused(options: FinetuneOptions) -> None:
    corrected = read_corrected(options.data)
    few = [each for each in corrected if not is_held(each.patient)]
    few += [each for each in corrected if is_held(each.patient)][:2]
    with pytest.raises(TrainingError, match=r"too few patients: .* and 2 held back"):
        part(few, LABELS, options)


def test_what_cannot_be_checked_is_left_to_the_parent(options: FinetuneOptions) -> None:
    corrected = [
        replace(
            each, structures=each.structures | {"liver"} | (set() if is_held(each.patient) else {"aorta"})
        )
        for each in read_corrected(options.data)
    ]
    found = part(corrected, LABELS, options)
    assert found.structures == ("heart",)
    assert found.left_out == {
        "aorta": "not corrected in any patient held back",
        "liver": "the bundle does not support it",
    }
    with pytest.raises(TrainingError, match="trachea: not corrected"):
        part(corrected, LABELS, replace(options, only="trachea, heart"))


def test_no_patient_is_on_both_sides(options: FinetuneOptions, tmp_path: Path) -> None:
    folder = write_site(tmp_path / "site", lambda patient, truth: truth)
    rows = [f"{patient}.png,{i // 2}" for i, patient in enumerate(PATIENTS)]
    (folder / "patients.csv").write_text("\n".join(["file,patient", *rows]))
    images = read_pictures(folder)
    assert [each.patient for each in images[:3]] == ["0", "0", "5"], "p0, p1, p10"
    seed = next(n for n in range(200) if sum(is_held_back(str(i), 0.5, n) for i in range(6)) == 3)
    found = part(images, LABELS, replace(options, held_back=0.5, seed=seed))
    assert not {e.patient for e in found.taught} & {e.patient for e in found.held}
    (folder / "patients.csv").write_text("file,patient\np0.png,0\n")
    with pytest.raises(RadiographSetError, match=r"does not name the patient of p1\.png"):
        read_pictures(folder)


def test_phases_unfreeze_from_the_head_down_and_norms_keep_their_statistics(options: FinetuneOptions) -> None:
    network = load_parent(Bundle.load(options.bundle))
    moving = []
    for parts in PHASES:
        optimiser = _unfrozen(network, parts)
        moving.append({n.split(".")[0] for n, p in network.named_parameters() if p.requires_grad})
        factors = [group["factor"] for group in optimiser.param_groups]
        assert factors == sorted(factors, reverse=True)
    says = {"head", "context"}
    assert moving == [says, {*says, "up"}, {*says, "up", "stem", "down"}]
    assert not any(module.training for module in network.modules())


def test_parent_tells_what_nobody_corrected_and_the_view(options: FinetuneOptions) -> None:
    parent = load_parent(Bundle.load(options.bundle))
    image, known = torch.rand(1, 1, SIZE, SIZE), torch.tensor([[True, False, False]])
    batch = Batch(
        image,
        torch.ones(1, 3, 16, 16),
        known,
        torch.zeros(1).long(),
        torch.ones(1, 1, 16, 16) > 0,
        torch.zeros_like(known, dtype=torch.long),
    )
    told = told_by(parent, batch)
    with torch.no_grad():
        answer = parent(image)
    assert torch.equal(told.target[:, 0], batch.target[:, 0])
    assert torch.equal(told.target[:, 1:], torch.sigmoid(answer.logits)[:, 1:])
    assert torch.equal(told.view, torch.softmax(answer.view, 1))
    assert bool(told.known.all())


def test_parent_pulls_nowhere_where_it_is_followed(options: FinetuneOptions) -> None:
    """The loss of the parent's own answers has a slope only where something was corrected."""
    parent = load_parent(Bundle.load(options.bundle)).eval()
    for known in ([True, False, False], [False, False, False]):
        drawn = torch.tensor([known, known])
        batch = Batch(
            torch.rand(2, 1, SIZE, SIZE), torch.ones(2, 3, 16, 16), drawn, torch.zeros(2).long(),
            torch.ones(2, 1, 16, 16) > 0, torch.zeros_like(drawn, dtype=torch.long),
        )  # fmt: skip
        outputs = parent(batch.image)
        logits = outputs.logits.detach().requires_grad_()
        loss, _ = loss_of(Outputs(logits, outputs.view.detach()), told_by(parent, batch), drawn=drawn)
        (slope,) = torch.autograd.grad(loss, logits)
        assert slope[~drawn].abs().max() < 1e-8
        assert bool((slope[drawn].abs() > 1e-5).all())


def test_images_of_one_file_name_are_compared_one_by_one(options: FinetuneOptions) -> None:
    parent = Bundle.load(options.bundle)
    images = [replace(each, name="IM1") for each in read_corrected(options.data)][:3]
    found = compare(parent, parent, images, ("heart",))
    assert [pair.image for pair in found.pairs] == [each.key for each in images]


def test_folder_with_a_bundle_is_not_written_over(tuned: Bundle, options: FinetuneOptions) -> None:
    with pytest.raises(OutputError, match="holds a bundle already"):
        finetune(options)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"steps": (0, 0, 0)}, "not all of them 0"), ({"held_back": 0.0}, "lies in"), ({"batch": 0}, "above 0")],
)
def test_impossible_options_are_refused(options: FinetuneOptions, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        replace(options, **wrong)


def test_version_of_the_parent_is_refused(options: FinetuneOptions, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"version 1\.0 is the parent's own"):
        finetune(replace(options, version="1.0", out=tmp_path))


def test_command_says_where_the_bundle_is(options: FinetuneOptions, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    asked = ["--bundle", str(options.bundle), "--data", str(options.data), "--out", str(tmp_path)]
    run = tmp_path / "run.toml"
    run.write_text('learning_rate = 1e-9\nsteps = [1, 1, 1]\nonly = "heart"\n')
    asked += ["--run", str(run), "--version", "2"]
    done = CliRunner().invoke(app, [*asked, "--steps", "1,0,0"])
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'bundle'}: tiny 2, sha256" in done.output.replace("\n", "")
    assert CliRunner().invoke(app, [*asked, "--steps", "1,2"]).exit_code == 2
