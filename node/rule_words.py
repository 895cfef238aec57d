"""Rules in words for a person: what a condition wants, what an image has."""

from config.conditions import Condition, Operator
from node.rule_facts import Found

NOTHING = "nothing"


def wanted_words(condition: Condition) -> str:
    """Return a condition as a person reads it, such as "Modality is DX"."""
    operator = str(condition.operator).replace("_", " ")
    values = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in condition.wanted)
    if condition.operator is Operator.EXISTS:
        return f"{condition.attribute} {'exists' if condition.wanted[0] else 'does not exist'}"
    return f"{condition.attribute} {operator} {values}"


def found_words(found: Found) -> str:
    """Return what an image has as a person reads it, without what would command a terminal."""
    shown = (f"{value:g}" if isinstance(value, float) else _printable(value) for value in found)
    return ", ".join(shown) or NOTHING


def _printable(value: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in value)
