"""The documentation as its tests see it: pages, code blocks, commands in them, links and headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))

PROGRAMS = ("paxnode", "paxnode-train")

AFTER = frozenset({"|", "&", "&&", ";", ">", "2>"})
"""What ends the words of a call in a shell."""

_BLOCK = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code: the name of its page, its language ("" without a tag), its text."""

    page: str
    language: str
    text: str


@dataclass(frozen=True)
class Link:
    """A link between pages: from where, to which file ("" is the same page), to which heading of it."""

    page: Path
    file: str
    anchor: str

    @property
    def target(self) -> Path:
        """The file that it leads to."""
        return self.page.parent / self.file if self.file else self.page


def blocks(*languages: str) -> Iterator[Block]:
    """Yield the blocks of every page in these languages; without any, every block."""
    for page in PAGES:
        for _, language, body in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if not languages or language in languages:
                yield Block(page.name, language, dedent(body))


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each call of one of our programs in a block of shell commands.

    A line that ends with a backslash goes on in the next; `...` stands for more of the same and is left out.
    """
    for line in block.text.replace("\\\n", " ").splitlines():
        words = [word for word in shlex.split(line.removeprefix("$ "), comments=True) if word != "..."]
        words = words[3:] if words[:2] == ["sudo", "-u"] else words
        words = list(dropwhile(lambda word: "=" in word, words))  # variables for this call alone
        if words and Path(words[0]).name in PROGRAMS:
            yield [Path(words[0]).name, *takewhile(lambda word: word not in AFTER, words[1:])]


def links(page: Path) -> Iterator[Link]:
    """Yield the links of a page to files of the repository; those in code are none."""
    for file, anchor in _LINK.findall(_prose(page)):
        yield Link(page, file, anchor)


def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs both make them.

    >>> "keeping-house" in anchors(DOCS / "operations.md")
    True
    """
    return frozenset(_slug(heading) for heading in _HEADING.findall(_prose(page)))


def _prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", heading.strip().lower())
    return re.sub(r"[\s]+", "-", kept.strip())
