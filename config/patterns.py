"""Regular expressions that cannot hold up the node: those whose cost could explode are refused.

Python's engine tries one way after the other. With n characters and k repeats that stand beside each other
these are about n^k / k!, each choice may double them, and a repeat inside a repeat makes them 2^n. So repeats
may not be nested, repeats and choices are few, and a value longer than `config.attributes.MAX_VALUE` is not
looked at. The worst that is left was measured; docs/rules.md has the figure.
"""

import re

MAX_PATTERN = 100
"""A longer pattern is refused, in characters."""

MAX_REPEATS = 3
"""So many `*`, `+`, `?` and `{}` may be in a pattern."""

MAX_CHOICES = 8
"""So many `|` may be in a pattern."""

_TOKENS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?.?|\{\d*,?\d*\}[?+]?|[*+?][?+]?|[()|]|.", re.DOTALL)


def check_pattern(pattern: str) -> None:
    r"""Refuse a pattern that is none, or that could take long.

    Raises:
        ValueError: The message says what is wrong with it.

    >>> check_pattern(r"(CHEST|THORAX).*")
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"'matches' must have at most {MAX_PATTERN} characters, found {len(pattern)}")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"'matches' is no regular expression: {error}, found {pattern!r}") from None
    problem = _problem(pattern)
    if problem:
        raise ValueError(f"'matches' {problem}, found {pattern!r}")


def _problem(pattern: str) -> str:
    """Return why a pattern could take long; empty: it cannot."""
    tokens = _TOKENS.findall(pattern)
    repeats = 0
    is_rich = [False]  # for each open group: whether it holds a repeat or a choice
    closed = False  # whether the last token closed a rich group
    for token in tokens:
        is_repeat = token[0] in "*+?" or (token[0] == "{" and len(token) > 1)
        if _is_strange(token):
            return "must have no look-around, no flags and no references to groups"
        if is_repeat and closed:
            return "must not repeat a group that holds a repeat or a choice"
        repeats += is_repeat
        closed = _step(token, is_repeat, is_rich)
    is_small = repeats <= MAX_REPEATS and tokens.count("|") <= MAX_CHOICES
    return (
        "" if is_small else f"must have at most {MAX_REPEATS} repeats (*, +, ?, {{}}) and {MAX_CHOICES} of |"
    )


def _is_strange(token: str) -> bool:
    return (token.startswith("(?") and token != "(?:") or (token[0] == "\\" and token[1:].isdigit())


def _step(token: str, is_repeat: bool, is_rich: list[bool]) -> bool:
    """Note a token; return whether it closes a group that must not be repeated."""
    if token[0] == "(":
        is_rich.append(False)
    elif is_repeat or token == "|":
        is_rich[-1] = True
    elif token == ")":
        inner = is_rich.pop()
        is_rich[-1] = is_rich[-1] or inner
        return inner
    return False
