"""No patient is ever on two sides."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.dataset import FRONTAL, LATERAL, Source, from_radiograph
from pipeline_training.errors import DatasetError, RadiographSetError
from pipeline_training.projections import load_anatomy
from pipeline_training.radiograph_folders import read_set, unsaid_patients
from pipeline_training.split import check_no_leak, is_held_back, patient_of, split


def _source(patient: str, view: int = FRONTAL) -> Source:
    empty = np.zeros((0, 160, 160), np.uint8)
    return Source(patient, np.zeros((16, 320, 320), np.float16), empty, np.zeros(0, np.intp), view)


def test_no_patient_is_on_two_sides_whatever_the_seed() -> None:
    patients = [f"patient {n}" for n in range(30)]
    sources = [_source(p, view) for p in patients for view in (FRONTAL, LATERAL, FRONTAL)]  # volumes, views
    for seed in range(20):
        taught, held = split(sources, 0.3, seed)
        assert not {s.patient for s in taught} & {s.patient for s in held}
        assert len(taught) + len(held) == len(sources)
        assert len(held) % 3 == 0, "all of a patient goes together"


def test_share_is_about_what_was_asked_for() -> None:
    held = np.mean([is_held_back(f"patient {n}", 0.2, 1) for n in range(5000)])
    assert held == pytest.approx(0.2, abs=0.02)


def test_place_of_a_patient_does_not_depend_on_the_others() -> None:
    few = [_source(f"patient {n}") for n in range(10)]
    more = few + [_source(f"patient {n}") for n in range(10, 40)]
    held_of_few, held_of_more = ({s.patient for s in split(sources, 0.4, 3)[1]} for sources in (few, more))
    assert held_of_few == held_of_more & {s.patient for s in few}


def test_nothing_is_held_back_unless_asked_for() -> None:
    sources = [_source("a"), _source("b")]
    assert split(sources, 0.0, 1) == (sources, [])


def test_split_that_leaves_a_side_empty_is_refused() -> None:
    with pytest.raises(DatasetError, match="of 1 patients none is held back"):
        split([_source("a")], 0.01, 1)


def test_leak_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match="patient 'b' is on both sides"):
        check_no_leak([_source("a"), _source("b")], [_source("b", LATERAL)])


def test_images_of_one_patient_stay_together_in_radiographs_and_projections(
    make_reader_set: Callable[..., Path],
) -> None:
    folder = make_reader_set("jsrt", images=12)
    rows = [f"{n}.png,{n % 4}" for n in range(12)]
    (folder / "patients.csv").write_text("\n".join(["file,patient", *rows]))
    images = read_set(folder)
    real = [source for path in images.images if (source := from_radiograph(images, path))]
    sources = [*real, *(_source(str(n)) for n in range(4))]  # their CTs, too
    seed = next(n for n in range(50) if {is_held_back(str(p), 0.5, n) for p in range(4)} == {True, False})
    taught, held = split(sources, 0.5, seed)
    assert len(taught) + len(held) == 16
    assert not {s.patient for s in taught} & {s.patient for s in held}
    assert len(held) % 4 == 0, "three radiographs and a projection of each"
    (folder / "patients.csv").write_text("file,patient\n0.png,\n")
    with pytest.raises(RadiographSetError, match=r"does not name the patient of 0\.png"):
        read_set(folder)


def test_a_set_that_does_not_say_whose_its_pictures_are_is_told(
    make_reader_set: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_set("jsrt", images=1)
    assert unsaid_patients(folder) == (
        f"{folder} has no patients.csv: each picture counts as a patient of its own"
    )
    (folder / "patients.csv").write_text("file,patient\n0.png,a\n")
    assert not unsaid_patients(folder)
    assert not unsaid_patients(tmp_path / "dicom"), "DICOM says whose it is"


@pytest.mark.parametrize(("stated", "patient"), [(None, "body"), ("", "body"), (0, "0"), ("anna", "anna")])
def test_patient_of_a_case_is_the_one_that_its_projections_carry(
    make_case: Callable[..., Path], stated: object, patient: str
) -> None:
    case = make_case("body")
    content = json.loads((case / "labels.json").read_text())
    (case / "labels.json").write_text(json.dumps(content | {"patient": stated}))
    assert patient_of(case) == (load_anatomy(case, 1).patient or case.name) == patient
