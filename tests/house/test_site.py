"""The documentation as a site: every page has its place in it, and no link or anchor leads nowhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house.pages import DOCS, PAGES, ROOT, anchors, links

HOME = "index.md"
"""The site's own first page; the README is that of the repository."""

SITE: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def in_the_menu(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            if isinstance(value, list):
                yield from in_the_menu(value)
            else:
                yield value


def test_each_page_has_one_place_in_the_menu() -> None:
    assert sorted(in_the_menu(SITE["nav"])) == sorted(page.name for page in DOCS.glob("*.md"))


def test_menu_has_the_four_kinds_of_page() -> None:
    kinds = [kind for entry in SITE["nav"] for kind, pages in entry.items() if isinstance(pages, list)]

    assert kinds == ["Tutorial", "How to", "Reference", "Explanation"]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_page_is_linked_from_the_readme(page: Path) -> None:
    linked = {link.target.resolve() for link in links(ROOT / "README.md")}

    assert page.name == HOME or page in linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_of_links_are_headings(page: Path) -> None:
    to_headings = [link for link in links(page) if link.anchor]

    assert [link for link in to_headings if link.anchor not in anchors(link.target)] == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_page_links_only_to_what_the_site_holds(page: Path) -> None:
    assert [link.file for link in links(page) if not link.target.resolve().is_relative_to(DOCS)] == []


def test_a_broken_link_fails_the_build() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    recipe = makefile.split("\ndocs:")[1].split("\n\n")[0]

    assert "mkdocs build --strict" in recipe
    assert (
        "--quiet" not in recipe.split("mkdocs build")[1]
    )  # with it MkDocs counts no warning, and nothing fails
    assert set(SITE["validation"].values()) == {"warn"}
    assert {"omitted_files", "absolute_links", "unrecognized_links", "anchors"} <= set(SITE["validation"])


def test_reading_a_page_asks_no_other_host() -> None:
    assert SITE["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css"} & set(SITE)
