"""Every block of commands in the documentation has its place in the plan, and every place its block."""

import configparser
import json

import pytest
import yaml

from tests.house.pages import Block, blocks
from tests.walks.plan import PLAN
from tests.walks.walk import LANGUAGES, Walk


def name(value: object) -> str:
    if isinstance(value, Block):
        return f"{value.page}: {value.text.splitlines()[0]}"
    assert isinstance(value, Walk)
    return f"{value.page}: {value.first.splitlines()[0]}"


@pytest.mark.parametrize("block", list(blocks(*LANGUAGES)), ids=name)
def test_block_has_one_place_in_the_plan(block: Block) -> None:
    assert len([walk for walk in PLAN if walk.is_of(block)]) == 1, (
        "tests/walks: say how it is run, or why not"
    )


@pytest.mark.parametrize("walk", PLAN, ids=name)
def test_place_in_the_plan_has_its_block_and_what_it_replaces(walk: Walk) -> None:
    assert walk.block.language in (*LANGUAGES, "toml")
    assert walk.text() or walk.not_here


def test_a_word_to_be_replaced_that_is_not_there_is_found() -> None:
    with pytest.raises(LookupError, match="holds no"):
        Walk("howto_measurement.md", "make statement", replaced=(("mkae", "make"),)).text()


def test_a_block_that_is_not_there_is_found() -> None:
    with pytest.raises(LookupError, match="0 blocks"):
        Walk("howto_measurement.md", "make understatement").text()


@pytest.mark.parametrize("block", list(blocks("json", "yaml", "ini")), ids=name)
def test_block_of_data_can_be_read(block: Block) -> None:
    if block.language == "yaml":
        assert yaml.safe_load(block.text)
    elif block.language == "ini":
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(f"[environment]\n{block.text}")
    else:
        read(block.text)


def read(text: str) -> None:
    """Read a text of JSON; each line is a text of its own where the first one is whole."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        assert [json.loads(line) for line in text.splitlines()]
