"""What is done with one code block of the documentation."""

from dataclasses import dataclass
from functools import cache

from tests.house.pages import Block, blocks
from tests.walks.shell import Serving

LANGUAGES = ("sh", "json", "nginx", "lua", "js", "ini", "yaml")
"""Of the blocks that must have a place in the plan; toml and Python are read by tests/house."""


@cache
def every_block() -> tuple[Block, ...]:
    """Return the blocks of all pages, read once."""
    return tuple(blocks())


@dataclass(frozen=True)
class Walk:
    """One block, and how it is run.

    Attributes:
        page: Name of its file.
        first: How it begins; on a page, only one block begins so.
        not_here: Why it is not run, and what proves it instead; empty where it is run.
        into: The file that it is written into, in the place of running it.
        before: Shell lines for what the page presumes.
        replaced: What stands for something else, each with what it stands for here.
        serving: Lines that do not come back.
        answers: What is typed when it asks.
        then: Shell lines that must succeed afterwards; `$SAID` is the file of what the block said.
        outside: Whether it needs the network outside.
    """

    page: str
    first: str
    not_here: str = ""
    into: str = ""
    before: str = ""
    replaced: tuple[tuple[str, str], ...] = ()
    serving: tuple[Serving, ...] = ()
    answers: str = ""
    then: str = ""
    outside: bool = False

    @property
    def block(self) -> Block:
        """The block on its page.

        Raises:
            LookupError: There is none, or there are several.
        """
        found = [each for each in every_block() if self.is_of(each)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} blocks of {self.page} begin with {self.first!r}")
        return found[0]

    def is_of(self, block: Block) -> bool:
        """Whether it is about this block."""
        return block.page == self.page and block.text.startswith(self.first)

    def text(self) -> str:
        """Return the lines that are run.

        Raises:
            LookupError: What is to be replaced, or a line that serves, is not there.
        """
        text, lines = self.block.text, self.block.text.splitlines()
        starts = [each.line for each in self.serving if each.line not in self.before]
        missing = [old for old, _ in self.replaced if old not in text]
        missing += [start for start in starts if not any(line.startswith(start) for line in lines)]
        if missing:
            raise LookupError(f"{self.page}: the block {self.first!r} holds no {missing}")
        for old, new in self.replaced:
            text = text.replace(old, new)
        return text
