"""Keeping house: what `[retention]` says is due is removed, and nothing else ever is.

The order of a removal, and what a kill -9 between two steps leaves:

1. The mark `files_removed_at`, in one transaction that holds the row and looks once more. Killed after it:
   the files still lie there, and the job says that they do not. Nothing needs them, `rerun` and `retry`
   refuse in words, and the next sweep removes them as leftovers.
2. The files, each under a lock that whoever keeps a file shares, and only where no job that has its files
   needs it. Killed among them: the same.
3. The rows, `rows_days` after the job has ended, and only of jobs whose files were marked two days ago:
   without its row a leftover would be an unknown image, which stays. A pass that sweeps does so before: the
   node may have been off for days. One transaction for a batch: all of a job's rows are there or none.

The other way round, files first, a job that is run again at that moment, or after a kill, would find its row
saying "there" and its files gone. Where files vanish by other hands, nothing is marked before it is due: a
data folder that is not mounted would otherwise lose its files when it comes back. It is told in the log.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from config.network import RetentionSettings
from node.bell import Bell
from node.keeping_store import KeepingStore
from node.logs import get_logger
from node.loop import Loop
from node.ownership import whose
from node.spool import MEGABYTE, Spool
from node.sweep import batches, missing_files, remove_files, unneeded_files

WATCH_S = 20.0
"""How often the free space is looked at, in seconds."""

SWEEP_EVERY_S = 6 * 3600.0
"""How often every file is looked at for whether somebody needs it: it takes seconds with a million files."""

log = get_logger()

Found = TypeVar("Found")


@dataclass(frozen=True)
class Tidied:
    """What was removed, or would be.

    Attributes:
        jobs: Jobs whose files went.
        files: Files that went, of jobs, leftovers and orphans.
        size: Their bytes.
        orphans: How many of them were results that nobody knew.
        rows: Jobs whose rows went.
        missing: Files that jobs need and that are not there.
        kept_because: Why orphans stay; empty: there are none, or they went.
        unknown_images: Images that the database does not know, a day old at least; they stay in any case.
    """

    jobs: int = 0
    files: int = 0
    size: int = 0
    orphans: int = 0
    rows: int = 0
    missing: int = 0
    kept_because: str = ""
    unknown_images: tuple[str, ...] = ()


def _tell_nobody(_paths: Sequence[str]) -> Callable[[Collection[str]], None]:
    return lambda _gone: None


class Housekeeper:
    """Removes what is due.

    Args:
        settings: `[retention]`.
        spool: Where files lie.
        store: What the database says of them.
        deleted: Is told of files that are about to go; what it returns is told which of them went.
        monotonic: Tells seconds.
    """

    def __init__(
        self,
        settings: RetentionSettings,
        spool: Spool,
        store: KeepingStore,
        deleted: Callable[[Sequence[str]], Callable[[Collection[str]], None]] = _tell_nobody,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._store = store
        self._deleted = deleted
        self._now = monotonic
        self._was_low = False
        self._highest = 0
        self._next_pass = self._next_sweep = float("-inf")
        self.loop = Loop("housekeeper", self.step, Bell())

    # ---- as a part of the node

    def step(self) -> float:
        """Watch the disk, keep house when it is time or the disk has become low; return when to look next."""
        self._spool.check_there()
        became_low = self._watch()
        self._note_receptions()
        if became_low or self._now() >= self._next_pass:
            self._next_pass = self._now() + self._settings.every_s
            with_sweep = became_low or self._now() >= self._next_sweep
            self._tell(self.tidy(with_sweep=with_sweep))
            if with_sweep:
                self._next_sweep = self._now() + SWEEP_EVERY_S
        return min(WATCH_S, self._settings.every_s)

    def _watch(self) -> bool:
        """Tell whether the disk has just become low: one line for each crossing."""
        free = self._spool.free_bytes()
        is_low = free < self._settings.disk_warning_mb * MEGABYTE
        crossed, self._was_low = is_low != self._was_low, is_low
        if crossed and is_low:
            log.warning("disk space is low", bytes=free)
        elif crossed:
            log.info("disk space is sufficient again", bytes=free)
        return crossed and is_low

    def _tell(self, done: Tidied) -> None:
        if done.files or done.rows:
            log.info("house kept", count=done.files, bytes=done.size, jobs=done.jobs, rows=done.rows)
        if done.missing:
            log.error("files that jobs need are missing", count=done.missing)
        if done.kept_because:
            log.warning("unknown files are kept", reason=done.kept_because)

        if done.unknown_images:
            log.warning("images that the database does not know: kept", count=len(done.unknown_images))

    def _note_receptions(self) -> None:
        """Count a pass when images came since the last look: an older database is known by fewer passes.

        The number of passes and not that of the highest job is remembered: a database that was put back may
        have received more images than the data folder remembers before anybody compares.
        """
        highest = self._store.highest_job()
        if highest != self._highest and self._spool.owner() is not None:
            if not whose(self._spool, self._store):
                self._remember()
            self._highest = highest

    # ---- once

    def tidy(self, *, with_sweep: bool = True) -> Tidied:
        """Remove what is due.

        Args:
            with_sweep: Whether every file is looked at for whether somebody needs it.

        Raises:
            StorageError: The data folder is away.
        """
        self._spool.check_there()
        doubt = self._doubt()
        if doubt:
            missing = missing_files(self._spool, self._store) if with_sweep else 0
            return Tidied(kept_because=doubt, missing=missing)
        jobs, sizes = self._remove_due_files()
        if not with_sweep:
            return Tidied(jobs, len(sizes), sum(sizes.values()), 0, self._remove_due_rows())
        found = unneeded_files(self._spool, self._store)
        orphans = {} if found.kept_because else self._remove(found.orphans)
        sizes |= self._remove(found.leftovers) | orphans
        if not found.kept_because:
            self._remember()
        rows = self._remove_due_rows()
        counts = jobs, len(sizes), sum(sizes.values()), len(orphans), rows
        return Tidied(*counts, found.missing, found.kept_because, found.unknown_images)

    def would_tidy(self) -> Tidied:
        """Return what `tidy` would remove now; nothing is changed."""
        doubt = whose(self._spool, self._store)
        if doubt:
            return Tidied(kept_because=doubt, missing=missing_files(self._spool, self._store))
        due = self._store.due_files(self._settings)
        found = unneeded_files(self._spool, self._store)
        orphans = () if found.kept_because else found.orphans
        paths = {path for each in due for path in each.paths} | {*found.leftovers, *orphans}
        sizes = [size for path in paths if (size := self._spool.size_of(path)) is not None]
        rows = self._store.due_rows(self._settings)
        counts = len(due), len(sizes), sum(sizes), len(orphans), rows
        return Tidied(*counts, found.missing, found.kept_because, found.unknown_images)

    def _doubt(self) -> str:
        """Return why the database may be a wrong one; a data folder that has none yet learns its own."""
        if self._spool.owner() is not None:
            return whose(self._spool, self._store)
        doubt = unneeded_files(self._spool, self._store).kept_because
        if not doubt:
            self._remember()
        return doubt

    def _remove_due_files(self) -> tuple[int, dict[str, int]]:
        jobs, sizes = 0, dict[str, int]()
        for due in self._while_wanted(self._store.mark_files_removed(self._settings)):
            jobs += len(due)
            sizes |= self._remove([path for each in due for path in each.paths])
        return jobs, sizes

    def _remove(self, paths: Sequence[str]) -> dict[str, int]:
        """Remove those of the files that no job needs, and return the bytes of each.

        What went is told, also when an error ends it.
        """
        sizes: dict[str, int] = {}
        for batch in batches(paths):
            tell = self._deleted(batch)
            gone: dict[str, int] = {}
            try:
                for path, size in remove_files(self._spool, self._store, batch):
                    gone[path] = size
            finally:
                tell(gone)
            sizes |= gone
        return sizes

    def _remove_due_rows(self) -> int:
        rows = sum(self._while_wanted(self._store.remove_rows(self._settings)))
        self._store.remove_conversations(self._settings)
        return rows

    def _while_wanted(self, pages: Iterator[Found]) -> Iterator[Found]:
        """Yield page after page until the loop is told to stop."""
        while not self.loop.stopping and (page := next(pages, None)) is not None:
            yield page

    def _remember(self) -> None:
        """Let the data folder know its database, and how often it has kept house."""
        self._store.identity()
        now = self._store.count_pass()
        self._spool.set_owner(now.value, now.passes)
