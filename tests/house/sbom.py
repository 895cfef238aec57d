"""A CycloneDX bill of materials of the installed node, and what is known to be wrong with its parts.

`python -m tests.house.sbom FILE` writes the bill (`make sbom`); `--licences` prints the licences;
`--vulnerabilities` asks OSV (https://osv.dev) about every part (`make audit`) and exits 0 when it knows of
none, 1 when it knows of some, and 3 when it could not be asked: no answer is never taken for "none".
"""

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console

ROOT_NAME = "paxnode"
SERVICE = "https://api.osv.dev/v1/querybatch"
TIMEOUT_S = 20.0
EXIT_FOUND, EXIT_NOT_ASKED = 1, 3


@dataclass(frozen=True)
class Part:
    """An installed distribution.

    Attributes:
        name: As in its metadata.
        version: Likewise.
        licence: What it says of it: an SPDX expression, a name, or "unknown".
        needs: Names of the distributions that it needs here, extras left out.
    """

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]

    @property
    def url(self) -> str:
        """Its package URL (purl)."""
        return f"pkg:pypi/{canonical(self.name)}@{self.version}"


def canonical(name: str) -> str:
    """Return a name as package indexes compare them.

    >>> canonical("SQLAlchemy.Utils_x")
    'sqlalchemy-utils-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_parts(root: str = ROOT_NAME) -> list[Part]:
    """Return the distribution and everything that it needs, without its extras, by name."""
    found: dict[str, Part] = {}
    waiting = [(root, frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        try:
            part = distribution(name)
        except PackageNotFoundError:  # for another platform, or optional there
            continue
        needs = list(_needs(part, extras))
        known = found.get(canonical(name))
        if known is None or extras:
            names = {need for need, _ in needs} | set(known.needs if known else ())
            found[canonical(name)] = _part(part, tuple(sorted(names)))
            waiting += [need for need in needs if need[0] not in found or need[1]]
    return [found[name] for name in sorted(found)]


def _needs(part: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for words in part.requires or ():
        need = Requirement(words)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if need.marker is None or any(need.marker.evaluate(each) for each in environments):
            yield canonical(need.name), frozenset(need.extras)


def _part(part: Distribution, needs: tuple[str, ...]) -> Part:
    return Part(part.metadata["Name"], part.version, _licence(part), needs)


def _licence(part: Distribution) -> str:
    words = _said(part, "License-Expression")
    classes = [c for c in part.metadata.get_all("Classifier") or () if c.startswith("License ::")]
    named = "; ".join(each.split(" :: ")[-1] for each in classes)
    free = _said(part, "License").strip().splitlines()
    return words or named or (free[0][:80] if free else "unknown")


def _said(part: Distribution, name: str) -> str:
    found = part.metadata.get_all(name)
    return str(found[0]) if found else ""


def bill_of_materials(parts: Sequence[Part]) -> dict[str, object]:
    """Return the bill in CycloneDX 1.5; the first of our name is what it is a bill of."""
    here = {canonical(part.name): part for part in parts}
    root = here[ROOT_NAME]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(root, "application")},
        "components": [_component(part, "library") for part in parts if part is not root],
        "dependencies": [
            {"ref": part.url, "dependsOn": [here[name].url for name in part.needs if name in here]}
            for part in parts
        ],
    }


def _component(part: Part, kind: str) -> dict[str, object]:
    return {
        "type": kind,
        "bom-ref": part.url,
        "name": part.name,
        "version": part.version,
        "purl": part.url,
        "licenses": [{"license": {"name": part.licence}}],
    }


def known_vulnerabilities(parts: Sequence[Part], service: str = SERVICE) -> dict[str, list[str]]:
    """Return the identifiers of what is known of each part, by purl; OSError or ValueError: no answer."""
    asked = [part for part in parts if canonical(part.name) != ROOT_NAME]
    body = json.dumps({"queries": [{"package": {"purl": part.url}} for part in asked]}).encode()
    request = urllib.request.Request(service, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        results = json.load(answer)["results"]
    if len(results) != len(asked):
        raise ValueError(f"{len(asked)} parts were asked about, {len(results)} were answered")
    found = {
        part.url: [each["id"] for each in result.get("vulns", ())]
        for part, result in zip(asked, results, strict=True)
    }
    return {url: ids for url, ids in found.items() if ids}


def audit(parts: Sequence[Part], console: Console, service: str = SERVICE) -> int:
    """Say what is known to be wrong with the parts, and return the exit status."""
    try:
        found = known_vulnerabilities(parts, service)
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = str(error) if isinstance(error, urllib.error.URLError | ValueError) else type(error).__name__
        words = f"audit: NOT CHECKED for known vulnerabilities: {service} gave no answer ({reason})"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
        return EXIT_NOT_ASKED
    for url, ids in found.items():
        console.print(f"audit: {url}: {', '.join(ids)}", markup=False, highlight=False, soft_wrap=True)
    if not found:
        console.print(f"audit: {service} knows nothing against {len(parts) - 1} dependencies")
    return EXIT_FOUND if found else 0


def main(arguments: Sequence[str]) -> int:
    """Do what the module's docstring says."""
    parts, console = installed_parts(), Console()
    if "--vulnerabilities" in arguments:
        return audit(parts, console)
    if "--licences" in arguments:
        for part in parts:
            console.print(f"{part.name} {part.version}: {part.licence}", markup=False, highlight=False)
        return 0
    target = Path(arguments[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill_of_materials(parts), indent=2) + "\n", encoding="utf-8")
    console.print(f"sbom: {len(parts)} distributions in {target}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
