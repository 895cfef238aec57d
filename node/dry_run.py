"""What another settings file would do with the last images, beside what was done. Nothing is written.

What only the pixels decide (`[appearance]`, a picture that is no chest) is not looked at: an image that was
put aside for its pixels is taken to be so again, unless `[appearance]` or the model differs.
"""

from collections import Counter
from dataclasses import dataclass

from pydicom import Dataset

from config.settings import Settings
from node.decode import parse
from node.errors import ImageError
from node.header_refusal import header_refusal
from node.job_store import JobStore
from node.jobs import Job, Priority
from node.limits import MAX_OBJECT_BYTES
from node.options import OutputOptions
from node.plan import Plan, kinds_of, plan
from node.rule_facts import Titles
from node.spool import Spool
from node.states import State

NOWHERE = "(kept here)"
"""In the place of a destination, where results stay in the data folder."""

PUT_ASIDE = frozenset({State.REFUSED, State.QUARANTINED, State.IGNORED, State.UNMATCHED})
NOT_DONE = frozenset({State.RECEIVED, State.QUEUED, State.SEGMENTING, State.CANCELLED, State.FAILED})


@dataclass(frozen=True)
class Share:
    """What one destination got, or would get.

    Attributes:
        destination: Its name.
        kinds: Of objects, such as "SEG"; sorted.
        profile: As the settings name it; empty where that is not known any more.
    """

    destination: str
    kinds: tuple[str, ...]
    profile: str = ""


@dataclass(frozen=True)
class Fate:
    """What was done with an image, or would be.

    Attributes:
        shares: Who got what, sorted by destination.
        priority: How soon.
        put_aside: Why nothing was made of it; empty: something was.
    """

    shares: tuple[Share, ...]
    priority: Priority
    put_aside: str = ""


@dataclass(frozen=True)
class Comparison:
    """One image.

    Attributes:
        job: As it stands.
        done: What was done with it; None: it is not done yet, or it failed.
        would: What would be done; None: it cannot be told, for its file is gone.
        differences: In words; empty: none.
    """

    job: Job
    done: Fate | None
    would: Fate | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class DryRun:
    """What another file would do.

    Attributes:
        images: The newest first.
    """

    images: tuple[Comparison, ...]

    @property
    def summary(self) -> tuple[str, ...]:
        """How often each difference came, the most frequent first, and how many images are the same."""
        counted = Counter(words for each in self.images for words in each.differences)
        same = sum(1 for each in self.images if each.done and each.would and not each.differences)
        unknown = sum(1 for each in self.images if each.done is None or each.would is None)
        other = len(self.images) - same - unknown
        images = "1 image" if len(self.images) == 1 else f"{len(self.images)} images"
        told = f"{images}: {same} would come out as before, {other} otherwise"
        if unknown:
            told += f", {unknown} cannot be compared (not done yet, or without a file)"
        return (told, *(f"{count} x {words}" for words, count in counted.most_common()))


@dataclass(frozen=True)
class Candidates:
    """The two settings that are compared.

    Attributes:
        present: The active ones.
        wanted: Those that are tried.
    """

    present: Settings
    wanted: Settings


def dry_run(candidates: Candidates, store: JobStore, spool: Spool, last: int) -> DryRun:
    """Return what other settings would do with the images that came last.

    Args:
        candidates: The settings.
        store: The queue.
        spool: Where the images lie.
        last: How many.

    Raises:
        StorageError: The database or the data folder is away.
    """
    return DryRun(tuple(_compared(candidates, store, spool, job) for job in store.jobs(limit=last)))


def in_words(fate: Fate) -> str:
    """Return what was done with an image, or would be, for a person."""
    if fate.put_aside:
        return f"put aside: {fate.put_aside}"
    shares = (
        f"{each.destination}{f' ({each.profile})' if each.profile else ''}: {', '.join(each.kinds)}"
        for each in fate.shares
    )
    return f"{fate.priority.name.lower()}; {'; '.join(shares) or 'nothing'}"


def _compared(candidates: Candidates, store: JobStore, spool: Spool, job: Job) -> Comparison:
    done = _done(store, job)
    header, reason = _header(spool, job)
    if header is None and not reason:
        return Comparison(job, done, None)
    read = Dataset() if header is None else header
    before, after = (plan(each, read, _titles(job)) for each in (candidates.present, candidates.wanted))
    if header is not None:  # rules are asked before anybody else
        reason = after.put_aside or header_refusal(header, after.bundle)
        reason = reason or _reason_again(candidates, job, is_same_model=before.bundle == after.bundle)
    would = _planned(candidates, job, after, reason)
    if done is None:
        return Comparison(job, done, would)
    forms = () if reason else _other_forms(before, after)
    return Comparison(job, done, would, (*_differences(done, would), *forms))


def _reason_again(candidates: Candidates, job: Job, *, is_same_model: bool) -> str:
    """Return why an image was put aside, where that would be so again; its header tells no reason."""
    judges_alike = is_same_model and candidates.present.appearance == candidates.wanted.appearance
    is_again = job.state is State.QUARANTINED or (job.state is State.REFUSED and judges_alike)
    return job.reason if is_again else ""


def _done(store: JobStore, job: Job) -> Fate | None:
    if job.state in NOT_DONE:
        return None
    if job.state in PUT_ASIDE:
        return Fate((), job.priority, job.reason)
    got: dict[str, set[str]] = {}
    for delivery in store.deliveries(job_id=job.id):
        got.setdefault(delivery.destination, set()).add(_family(delivery.result.kind))
    if not got:
        kept = {_family(result.kind) for result in store.results(job.id)}
        got = {NOWHERE: kept} if kept else {}
    return Fate(_shares({name: tuple(kinds) for name, kinds in got.items()}, {}), job.priority)


def _planned(candidates: Candidates, job: Job, made: Plan, put_aside: str) -> Fate:
    """Return what would be done with an image; its sender's own wish is what its priority tells of it."""
    was_named = job.calling_ae_title.strip() in candidates.present.node.urgent_ae_titles
    asked = Priority.ROUTINE if was_named and job.priority is Priority.URGENT else job.priority
    priority = asked if made.priority is None else made.priority
    if put_aside:
        return Fate((), priority, put_aside)
    kinds = {name: kinds_of(options) for name, options in _by_destination(made).items()}
    wanted = candidates.wanted
    profiles = {each.name: each.profile or wanted.results.profile for each in wanted.every_destination}
    return Fate(_shares(kinds, {NOWHERE: wanted.results.profile, **profiles}), priority)


def _header(spool: Spool, job: Job) -> tuple[Dataset | None, str]:
    """Return an image's attributes, or why its bytes cannot be read; neither where it is gone."""
    if job.files_removed_at is not None:
        return None, ""
    try:
        return parse(spool.content(job.path, MAX_OBJECT_BYTES + 1)), ""
    except ImageError as error:
        return None, str(error)
    except FileNotFoundError:
        return None, ""


def _titles(job: Job) -> Titles:
    return Titles(job.calling_ae_title, job.called_ae_title)


def _other_forms(present: Plan, wanted: Plan) -> tuple[str, ...]:
    """Return who would get the same kinds in another form: other structures, another encoding."""
    before, after = _by_destination(present), _by_destination(wanted)
    return tuple(
        f"{name}: in another form than the active settings give it"
        for name, options in sorted(after.items())
        if name in before and before[name] != options and kinds_of(before[name]) == kinds_of(options)
    )


def _differences(done: Fate, would: Fate) -> tuple[str, ...]:
    words = []
    if bool(done.put_aside) != bool(would.put_aside):
        words.append(f"put aside: {would.put_aside}" if would.put_aside else "worked on, and was put aside")
    if done.priority is not would.priority:
        words.append(f"priority {would.priority.name.lower()} instead of {done.priority.name.lower()}")
    before, after = ({each.destination: each.kinds for each in fate.shares} for fate in (done, would))
    for name in sorted({*before, *after}):
        more = [kind for kind in after.get(name, ()) if kind not in before.get(name, ())]
        less = [kind for kind in before.get(name, ()) if kind not in after.get(name, ())]
        words += [f"{name}: gets {', '.join(more)}"] if more else []
        words += [f"{name}: gets no {', '.join(less)}"] if less else []
    return tuple(words)


def _by_destination(made: Plan) -> dict[str, OutputOptions]:
    return {name: options for options, names in made.outputs.items() for name in names or (NOWHERE,)}


def _shares(kinds: dict[str, tuple[str, ...]], profiles: dict[str, str]) -> tuple[Share, ...]:
    return tuple(Share(name, tuple(sorted(kinds[name])), profiles.get(name, "")) for name in sorted(kinds))


def _family(kind: str) -> str:
    """Return a kind without the part that it is of: "SEG lungs and airways" is a SEG."""
    return kind if kind.startswith("SR") else kind.split(" ", maxsplit=1)[0]
