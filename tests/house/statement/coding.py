"""The tables of coded terminology: structures, measurements, units, private codes."""

from collections import Counter
from collections.abc import Iterable, Mapping

from ai.labels import LABELS, Code
from node import codes
from tests.house.statement.network import table
from tests.house.statement.tree import code

ROLES = {
    "REPORT_TITLE": "title of reports",
    "PROCEDURE_REPORTED": "procedure reported",
    "SOURCE_IMAGE": "Purpose of Reference Code Sequence",
    "SEGMENTATION": "Derivation Code Sequence",
    "ARTIFICIAL_INTELLIGENCE": "Algorithm Family Code Sequence",
    "THORAX": "Finding of a line without a structure of its own",
    "MAXIMUM": "Derivation",
    "MEAN": "Derivation",
    "YES": "answer",
    "NO": "answer",
}
"""What codes of `node.codes` are for that no other table here has."""


def parts() -> Mapping[str, str]:
    """Return what goes into the template, by place."""
    types = {item.type for item in LABELS}
    return {
        "role_codes": table(("Code", "Used for"), _roles()),
        "units": ", ".join(dict.fromkeys(code(unit) for unit in codes.UNITS.values())),
        "structure_count": str(len(LABELS)),
        "type_count": str(len(types)),
        "categories": ", ".join(_sorted({item.category for item in LABELS})),
        "modifiers": ", ".join(_sorted({modifier for item in LABELS for modifier in item.modifiers})),
        "structures": table(("Code Value", "Scheme", "Code Meaning", "Structures"), _types(types)),
        "measurements": table(("Measurement", "Concept name", "Derivation"), _measurements()),
        "area": code(codes.AREA),
        "trust": code(codes.TRUST),
        "scheme": codes.PRIVATE_SCHEME,
        "scheme_name": codes.SCHEME_NAME,
        "scheme_organization": codes.SCHEME_ORGANIZATION,
        "private_codes": table(("Code Value", "Code Meaning"), _private()),
    }


def _sorted(found: Iterable[Code]) -> list[str]:
    return sorted(code(concept) for concept in found)


def _roles() -> list[str]:
    return [f"| {code(getattr(codes, name))} | {role} |" for name, role in ROLES.items()]


def _types(types: Iterable[Code]) -> list[str]:
    numbers = Counter(item.type for item in LABELS)
    return [
        f"| {concept.value} | {concept.scheme} | {concept.meaning} | {numbers[concept]} |"
        for concept in sorted(types, key=lambda found: (found.meaning, found.value))
    ]


def _measurements() -> list[str]:
    rows = []
    for name, concept in codes.CONCEPTS.items():
        derivation = codes.DERIVATIONS.get(name)
        rows.append(f"| {name} | {code(concept)} | {code(derivation) if derivation else ''} |")
    return rows


def _private() -> list[str]:
    named = [*vars(codes).values(), *codes.BY_UNIT.values(), *codes.FINDINGS.values()]
    own = dict.fromkeys(
        found for found in named if isinstance(found, Code) and found.scheme == codes.PRIVATE_SCHEME
    )
    return [f"| {found.value} | {found.meaning} |" for found in own]
