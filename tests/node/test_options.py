import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from ai.errors import LabelError
from config.profiles import shipped_profiles
from config.settings import ResultSettings, Settings, load_settings
from node.options import WRITER_REVISION, OutputOptions, destinations_by_options, options_of

CHANGED = {
    "structures": OutputOptions(structures=("heart",)),
    "seg": OutputOptions(seg="labelmap"),
    "grouping": OutputOptions(grouping="anatomy"),
    "orientation_shim": OutputOptions(orientation_shim=True),
    "report": OutputOptions(report="comprehensive"),
    "structure_report": OutputOptions(structure_report=True),
    "presentation_state": OutputOptions(presentation_state=True),
    "secondary_capture": OutputOptions(secondary_capture=True),
    "series_number_base": OutputOptions(series_number_base=100),
    "content_qualification": OutputOptions(content_qualification="PRODUCT"),
    "uid_root": OutputOptions(uid_root="1.2.3"),
    "judged": OutputOptions(judged="0" * 64),
    "measurements": OutputOptions(measurements=("heart width",)),
}


def test_every_option_enters_the_digest() -> None:
    assert set(CHANGED) == {field.name for field in fields(OutputOptions)}
    digests = {options.digest() for options in CHANGED.values()}
    assert len(digests | {OutputOptions().digest()}) == len(CHANGED) + 1


def test_all_measurements_have_the_digest_of_before_there_was_a_choice() -> None:
    now = OutputOptions(structures=("heart",))
    content = {**asdict(now), "writer": WRITER_REVISION, "structures": ["heart"]}
    del content["measurements"]
    before = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert now.digest() == before


def test_the_same_structures_in_other_words_give_the_same_digest() -> None:
    group, named = "breasts", ("breast right", "breast", "breast left")
    assert OutputOptions(structures=(group,)).digest() == OutputOptions(structures=named).digest()


@pytest.mark.parametrize("name", ["seg", "grouping", "report", "content_qualification"])
def test_a_word_that_an_option_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* or .*, found 'MAYBE'"):
        OutputOptions(**{name: "MAYBE"})  # type: ignore[arg-type]


def test_an_unknown_structure_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(LabelError, match="'hart'; the nearest known one is 'heart'"):
        OutputOptions(structures=("hart",))


def _settings(tmp_path: Path, content: str) -> Settings:
    file = tmp_path / "node.toml"
    file.write_text(content)
    return load_settings(file)


def _destination(name: str, profile: str = "") -> str:
    return f'[[destination]]\nname = "{name}"\nae_title = "A"\nhost = "h"\nport = 1\nprofile = "{profile}"\n'


def test_destinations_of_equal_profiles_share_what_is_written(tmp_path: Path) -> None:
    alike = '[[profile]]\nname = "mine"\nlike = "ohif"\ntransfer_syntaxes = ["deflated"]\n'
    places = _destination("a", "ohif") + _destination("b") + _destination("c", "mine")
    outputs = destinations_by_options(_settings(tmp_path, alike + places))
    assert list(outputs.values()) == [("a", "c"), ("b",)]
    shim, plain = outputs
    assert (shim.orientation_shim, plain.orientation_shim) == (True, False)


def test_without_destinations_results_of_the_default_profile_are_kept(tmp_path: Path) -> None:
    outputs = destinations_by_options(_settings(tmp_path, '[results]\nprofile = "legacy"\n'))
    ((options, destinations),) = outputs.items()
    assert (options.seg, options.presentation_state, destinations) == ("none", True, ())


@pytest.mark.parametrize("name", list(shipped_profiles()))
def test_every_shipped_profile_can_be_written(name: str) -> None:
    assert options_of(shipped_profiles()[name], ResultSettings()).content_qualification == "RESEARCH"
