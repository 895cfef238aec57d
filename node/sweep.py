"""Files that no job needs: what a crash left of a removal, and what nobody knows.

A *leftover* is named only by rows that say its files were removed: the node died between the mark and the
removal. An *orphan* is a result that no row names: it can be made again. Both are removed once they have lain
for a day. An *unknown image* is one that no row names. Mostly its sender was never told of success; but after
a database was put back from a backup it may be the only copy of what was acknowledged since. Nothing tells
these two apart, so it is never removed; it is told, and used when it is sent again.

With a wrong database URL, or a database put back from a backup, many files would be orphans. So orphans stay,
and it is told, when the data folder belongs to another database, when the database has kept house less often
than the data folder remembers, and when too many results are unknown. Unknown images do not count: they stay
in any case, and would stop this for good. But a folder of which the database knows no file at all does not
become its own.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from node.keeping_store import BATCH, KeepingStore
from node.ownership import whose
from node.spool import Spool, is_image

MAX_UNKNOWN_SHARE = 0.05
"""More unknown results than this share of all are no accident of a crash but a mistake of somebody."""

FEW = 10
"""So few unknown results are removed whatever their share, once the data folder knows its database."""


@dataclass(frozen=True)
class Unneeded:
    """What a look at the data folder found.

    Attributes:
        files: How many files there are.
        leftovers: Files whose every job has given up its files.
        orphans: Results that no row knows, a day old at least.
        unknown_images: Images that no row knows, a day old at least; nobody removes them.
        missing: How many files jobs need that are not there.
        kept_because: Why orphans must stay, in words for the admin; empty: they may go.
    """

    files: int = 0
    leftovers: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    unknown_images: tuple[str, ...] = ()
    missing: int = 0
    kept_because: str = ""


@dataclass
class _Found:
    files: int = 0
    results: int = 0
    leftovers: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def unneeded_files(spool: Spool, store: KeepingStore) -> Unneeded:
    """Look at every file, and return what nobody needs; nothing is changed."""
    doubt = whose(spool, store)
    found = _Found()
    for batch in batches(spool.kept_files()):
        found.files += len(batch)
        found.results += sum(not is_image(path) for path in batch)
        known, needed = store.known(batch), store.needed(batch)
        found.leftovers += [path for path in batch if path in known - needed and spool.is_old(path)]
        found.unknown += [path for path in batch if path not in known]
    unknown = _still_unknown(store, found.unknown)  # not what was on its way while we looked
    doubt = doubt or _too_many(found, unknown, is_sure=spool.owner() is not None)
    missing = missing_files(spool, store)
    old = [path for path in unknown if spool.is_old(path)]
    images = tuple(path for path in old if is_image(path))
    orphans = tuple(path for path in old if not is_image(path))
    return Unneeded(found.files, tuple(found.leftovers), orphans, images, missing, doubt)


def _still_unknown(store: KeepingStore, paths: Collection[str]) -> list[str]:
    unknown = []
    for batch in batches(paths):
        known = store.known(batch)
        unknown += [path for path in batch if path not in known]
    return unknown


def _too_many(found: _Found, unknown: Collection[str], *, is_sure: bool) -> str:
    if not is_sure and unknown and len(unknown) == found.files:
        return f"all {found.files} files are unknown to the database: is it the right one?"
    few, results = FEW if is_sure else 0, sum(not is_image(path) for path in unknown)
    if results <= max(few, MAX_UNKNOWN_SHARE * found.results):
        return ""
    return f"{results} of {found.results} results are unknown to the database: is it the right one?"


def missing_files(spool: Spool, store: KeepingStore) -> int:
    """Return how many files jobs need that are not there; what was removed meanwhile is needed no more."""
    count = 0
    for paths in store.all_needed():
        gone = [path for path in paths if not spool.path(path).exists()]
        count += len(store.needed(gone)) if gone else 0
    return count


def remove_files(spool: Spool, store: KeepingStore, paths: Collection[str]) -> Iterator[tuple[str, int]]:
    """Remove those of the files that no job needs; yield each that went and its bytes, as it goes."""
    for batch in batches(paths):
        needed = store.needed(batch)
        for path in batch:
            size = None if path in needed else spool.remove(path)
            if size is not None:
                yield path, size


def batches(paths: Iterable[str]) -> Iterator[list[str]]:
    """Yield the paths, some at a time."""
    rest = iter(paths)
    while batch := list(islice(rest, BATCH)):
        yield batch
