"""Patterns of rules: those whose cost could explode are refused, and the worst that is left ends soon."""

import re
import time

import pytest

from config.attributes import MAX_VALUE
from config.patterns import check_pattern

ENDS_WITHIN_S = 60.0
"""A hundred times what the worst takes here (docs/rules.md); an explosion takes years."""


@pytest.mark.parametrize(
    "pattern",
    [
        "CHEST",
        r"(CHEST|THORAX).*",
        r"[A-Z]{2}\d+",
        r"CR\d?",
        r"(?:AB)+",
        r"[*+?{}|()]",
        r"\(\*\)",
        r"a{2,3}?",
    ],
)
def test_a_plain_pattern_is_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(a*)*", "must not repeat a group"),
        ("(?:a|a)+", "must not repeat a group"),
        ("((a+))+", "must not repeat a group"),
        ("(a?){50}", "must not repeat a group"),
        (r"(a)\1", "no references to groups"),
        ("(?=a)a", "no look-around"),
        ("(?i)a", "no flags"),
        ("(?P<n>a)", "no look-around, no flags"),
        (".*.*.*.*", "at most 3 repeats"),
        ("a?a?a?a?", "at most 3 repeats"),
        ("|".join("abcdefghij"), "8 of |"),
        ("(", "is no regular expression"),
        ("a{99999999999999999999}", "is no regular expression"),
        ("a" * 101, "at most 100 characters"),
    ],
)
def test_a_pattern_that_could_take_long_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check_pattern(pattern)


def test_the_worst_pattern_ends() -> None:
    worst = "(a|a)" * 8 + "a*a*a*b"
    check_pattern(worst)
    begin = time.monotonic()

    assert re.fullmatch(worst, "a" * MAX_VALUE, re.IGNORECASE) is None
    assert time.monotonic() - begin < ENDS_WITHIN_S
