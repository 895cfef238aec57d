"""Who works in a node: one frozen value, and another one takes its place when the settings change."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from config.settings import Settings

if TYPE_CHECKING:
    from node.committer import Committer
    from node.housekeeping import Housekeeper
    from node.listener import Listener
    from node.prover import Prover
    from node.sender import Sender
    from node.worker import Terms, Worker

Outward: TypeAlias = "Sender | Prover | Committer | Housekeeper"
"""Who is made for certain settings, and replaced when they change."""

Looped: TypeAlias = "Worker | Outward"
"""What runs in a loop of its own."""

T = TypeVar("T")


@dataclass(frozen=True)
class Crew:
    """Who works, and by which settings.

    Attributes:
        settings: What they go by.
        listener: None in a process that does not listen.
        workers: None in a process that does not work; the same ones as long as the process runs.
        terms: What the workers go by from their next job on; None without workers.
        senders: None in a process that does not deliver. By what each one was made of, so that one whose
            settings are the same stays, with its breaker and its pace.
        others: Who asks for proofs of delivery, who answers for commitments, and who keeps house; likewise.
    """

    settings: Settings
    listener: "Listener | None" = None
    workers: "tuple[Worker, ...]" = ()
    terms: "Terms | None" = None
    senders: "Mapping[Hashable, Sender]" = field(default_factory=dict)
    others: "Mapping[Hashable, Prover | Committer | Housekeeper]" = field(default_factory=dict)

    @property
    def outward(self) -> tuple[Outward, ...]:
        """Everybody but listener and workers."""
        return (*self.senders.values(), *self.others.values())

    def without(self, other: "Crew") -> Iterator[Outward]:
        """Yield those outward that the other crew does not have."""
        kept = {id(each) for each in other.outward}
        return (each for each in self.outward if id(each) not in kept)


def staffed(posts: Mapping[Hashable, Callable[[], T]], present: Mapping[Hashable, T]) -> dict[Hashable, T]:
    """Return who holds each post: whoever held one that was made of the same, or somebody new.

    >>> staffed({"a": lambda: "new", "b": lambda: "new"}, {"a": "old", "c": "old"})
    {'a': 'old', 'b': 'new'}
    """
    return {what: present[what] if what in present else make() for what, make in posts.items()}
