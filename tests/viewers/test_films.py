"""The made films are of the kinds that their names say, and their masks lie on the stored pixels."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from tests.viewers.films import PROFILES, Film, made_films, results_of


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    return {film.name: film for film in made_films(Path(tmp_path_factory.mktemp("films")))}


def test_every_kind_is_there(films: dict[str, Film]) -> None:
    assert list(films) == ["monochrome1", "cr", "sc", "odd-size", "mirrored"]
    assert dcmread(films["monochrome1"].file).PhotometricInterpretation == "MONOCHROME1"
    assert dcmread(films["sc"].file).file_meta.MediaStorageSOPClassUID == SecondaryCaptureImageStorage
    assert films["odd-size"].source.shape[0] * films["odd-size"].source.shape[1] % 8 != 0


def test_a_mirrored_film_has_its_right_lung_on_the_right_of_its_pixels(films: dict[str, Film]) -> None:
    middles = {
        name: np.nonzero(films[name].stored_masks["right lung"])[1].mean() / films[name].source.shape[1]
        for name in ("cr", "mirrored")
    }
    assert middles["cr"] < 0.4
    assert middles["mirrored"] > 0.6


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_makes_results(films: dict[str, Film], profile: str) -> None:
    found = {result.Modality for result in results_of(profile, films["cr"])}
    assert "SR" in found
    assert ("SEG" in found) == (PROFILES[profile].seg != "none")
