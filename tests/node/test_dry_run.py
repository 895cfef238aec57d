"""A dry run tells what other settings would do with images that came, and changes nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO

from ai.bundle import DEFAULT_BUNDLE, MANIFEST_FILE, manifest_of
from ai.stand_in import StandInSegmenter
from config.conditions import Condition
from config.rules import Rule
from config.settings import Settings
from node.bell import Bell
from node.database import engine_for, upgrade
from node.dry_run import NOWHERE, Candidates, Comparison, DryRun, dry_run
from node.job_store import JobStore
from node.jobs import Priority, ReceivedObject
from node.options import OutputOptions, destinations_by_options
from node.plan import kinds_of, plan
from node.rule_facts import Titles
from node.rules import decide
from node.spool import Spool
from node.states import State
from node.work import Model, Work
from node.worker import Worker

PLACE = {"ae_title": "PACS", "host": "192.0.2.1", "port": 104}
MakeDx = Callable[..., Dataset]


class Site:
    """A queue with images that were worked on by settings, and nobody to deliver to."""

    def __init__(self, folder: Path) -> None:
        self.engine = engine_for("", folder)
        upgrade(self.engine)
        self.store, self.spool, self._number = JobStore(self.engine), Spool(folder), 0
        self.spool.prepare()

    def receive(self, dataset: Dataset, sender: str = "CR1", priority: Priority = Priority.ROUTINE) -> None:
        content = DicomBytesIO()
        dataset.save_as(content, enforce_file_format=True)
        incoming = self.spool.begin()
        incoming.write(content.getvalue())
        kept = incoming.keep()
        self.store.add_received(
            ReceivedObject(
                sop_class_uid=str(dataset.SOPClassUID),
                sop_instance_uid=str(dataset.SOPInstanceUID),
                study_instance_uid=str(dataset.StudyInstanceUID),
                series_instance_uid=str(dataset.SeriesInstanceUID),
                transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
                digest=kept.digest,
                path=kept.path,
                size=incoming.size,
                calling_ae_title=sender,
                priority=priority,
            )
        )

    def work(self, settings: Settings, segmenter: StandInSegmenter | None = None) -> None:
        models = {"": Model(segmenter or StandInSegmenter(), None)}
        work = Work(models, partial(decide, settings), self.store, self.spool)
        worker = Worker("worker", self.store, self.spool, work, 60.0, Bell(), Bell())
        while worker.step() == 0.0:
            pass

    def tried(self, present: Settings, wanted: Settings, last: int = 10) -> DryRun:
        return dry_run(Candidates(present, wanted), self.store, self.spool, last)

    def image(self, present: Settings, wanted: Settings) -> Comparison:
        [found] = self.tried(present, wanted).images
        return found


@pytest.fixture
def site(tmp_path: Path) -> Any:
    made = Site(tmp_path / "data")
    yield made
    made.engine.dispose()


def settings(*destinations: dict[str, Any], **tables: Any) -> Settings:
    places = [{**PLACE, **each} for each in destinations]
    return Settings.model_validate({"destination": places, **tables})


PACS = settings({"name": "pacs"})


def test_same_settings_make_no_difference(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx())
    site.work(PACS)
    found = site.image(PACS, PACS)
    assert found.differences == ()
    assert found.done is not None
    assert found.would is not None
    assert [(each.destination, each.kinds) for each in found.done.shares] == [
        ("pacs", ("SEG", "SR", "SR structures"))
    ]
    assert found.would.shares[0].profile == "standard"
    assert site.tried(PACS, PACS).summary == ("1 image: 1 would come out as before, 0 otherwise",)


def test_destination_that_is_added_removed_or_gets_something_else_is_told(
    site: Site, make_dx: MakeDx
) -> None:
    before = settings({"name": "pacs"}, {"name": "old"})
    site.receive(make_dx())
    site.work(before)
    after = settings({"name": "pacs", "profile": "legacy"}, {"name": "new", "profile": "minimal"})
    words = site.image(before, after).differences
    assert "pacs: gets PR, SC" in words
    assert "pacs: gets no SEG, SR structures" in words
    assert "old: gets no SEG, SR, SR structures" in words
    assert any(each.startswith("new: gets ") for each in words)


def test_other_form_of_the_same_objects_is_told(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx())
    site.work(PACS)
    own = settings({"name": "pacs", "profile": "own"}, profile=[{"name": "own", "structures": ["heart"]}])
    assert "pacs: in another form than the active settings give it" in " ".join(
        site.image(PACS, own).differences
    )


def test_priority_that_the_settings_change_is_told(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx(), sender="ER")
    site.work(PACS)
    urgent = settings({"name": "pacs"}, node={"urgent_ae_titles": ("ER",)})
    assert site.image(PACS, urgent).differences == ("priority urgent instead of routine",)


def test_priority_that_came_from_the_settings_goes_with_them(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx(), sender="ER", priority=Priority.URGENT)
    site.work(PACS)
    named = settings({"name": "pacs"}, node={"urgent_ae_titles": ("ER",)})
    assert site.image(named, PACS).differences == ("priority routine instead of urgent",)
    assert site.image(PACS, PACS).differences == ()  # its sender asked for it


def test_refused_image_stays_refused_and_says_why(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx(BodyPartExamined="FOOT"))
    site.work(PACS)
    found = site.image(PACS, settings({"name": "pacs"}, {"name": "new"}))
    assert found.differences == ()
    assert found.would is not None
    assert "only the chest is served" in found.would.put_aside


class ForEveryView(StandInSegmenter):
    """Draws on lateral views as well."""

    views = ("frontal", "lateral")  # type: ignore[assignment]


@pytest.fixture
def every_view(tmp_path: Path) -> Settings:
    """Settings with a model for both views."""
    (tmp_path / MANIFEST_FILE).write_text(
        replace(manifest_of(DEFAULT_BUNDLE), views=("frontal", "lateral"), mirrored=()).to_json()
    )
    return settings({"name": "pacs"}, model={"bundle": str(tmp_path)})


def test_lateral_would_be_refused_by_a_model_for_frontal_views(
    site: Site, make_dx: MakeDx, every_view: Settings
) -> None:
    site.receive(make_dx(ViewPosition="LL"))
    site.work(every_view, ForEveryView())
    assert site.image(every_view, every_view).differences == ()
    assert "put aside: the view is stated to be lateral (LL)" in site.image(every_view, PACS).differences[0]
    assert site.tried(every_view, PACS).summary[0] == "1 image: 0 would come out as before, 1 otherwise"


def test_refused_lateral_would_be_worked_on_by_a_model_for_both_views(
    site: Site, make_dx: MakeDx, every_view: Settings
) -> None:
    site.receive(make_dx(ViewPosition="LL"))
    site.work(PACS)
    assert site.image(PACS, PACS).differences == ()
    assert site.image(PACS, every_view).differences[0] == "worked on, and was put aside"


def test_what_a_rule_names_as_the_model_counts(site: Site, make_dx: MakeDx, every_view: Settings) -> None:
    site.receive(make_dx(ViewPosition="LL"))
    site.work(PACS)
    wanted = _with_rules(Rule(name="all", when=(_body_part("CHEST"),), model=every_view.model.bundle))
    assert site.image(PACS, wanted).differences[0] == "worked on, and was put aside"


def test_quarantined_image_stays_there_whatever_the_model(
    site: Site, make_dx: MakeDx, every_view: Settings
) -> None:
    broken = make_dx()
    broken.PixelData = broken.PixelData[:100]
    site.receive(broken)
    site.work(PACS)
    assert site.store.jobs()[0].state is State.QUARANTINED
    assert site.image(PACS, every_view).differences == ()


def test_image_that_waits_is_foreseen_and_not_compared(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx())
    found = site.image(PACS, PACS)
    assert (found.done, found.differences) == (None, ())
    assert found.would is not None
    assert found.would.shares[0].destination == "pacs"


def test_image_whose_file_is_gone_is_told(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx())
    site.work(PACS)
    site.spool.path(site.store.jobs()[0].path).unlink()
    assert site.image(PACS, PACS).would is None


def test_results_that_stay_here_have_a_place(site: Site, make_dx: MakeDx) -> None:
    site.receive(make_dx())
    site.work(Settings())
    found = site.image(Settings(), PACS)
    assert f"{NOWHERE}: gets no SEG, SR, SR structures" in found.differences


def test_newest_images_are_looked_at_and_nothing_changes(site: Site, make_dx: MakeDx, tmp_path: Path) -> None:
    for _ in range(3):
        site.receive(make_dx())
    site.work(PACS)

    def everything() -> dict[str, str]:
        files = (path for path in (tmp_path / "data").rglob("*.dcm") if path.is_file())
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before, jobs = everything(), site.store.jobs()
    found = site.tried(PACS, settings({"name": "other"}), last=2)
    assert [each.job.id for each in found.images] == [3, 2]
    assert found.summary[0].startswith("2 images: 0 would come out as before, 2 otherwise")
    assert found.summary[1] == "2 x other: gets SEG, SR, SR structures"
    assert (everything(), site.store.jobs()) == (before, jobs)


def test_plan_is_what_a_worker_would_write() -> None:
    made = plan(PACS, Dataset(), Titles("CR1"))
    assert (made.outputs, made.priority, made.put_aside) == (destinations_by_options(PACS), None, "")
    assert kinds_of(OutputOptions(seg="none", report="none", presentation_state=True)) == ("PR",)


# ---- rules


def _with_rules(*rules: Rule) -> Settings:
    return PACS.model_copy(update={"rule": rules})


def _body_part(wanted: str) -> Condition:
    return Condition.model_validate({"attribute": "BodyPartExamined", "is": wanted})


def test_rule_that_ignores_is_told_with_its_reason(site: Site, make_dx: Callable[..., Dataset]) -> None:
    site.receive(make_dx())
    site.work(PACS)
    wanted = _with_rules(Rule(name="none", when=(_body_part("CHEST"),), ignore="not wanted here"))

    found = site.image(PACS, wanted)

    assert found.would is not None
    assert "not wanted here" in found.would.put_aside
    assert any("not wanted here" in words for words in found.differences)


def test_image_that_a_rule_ignored_would_be_worked_on_without_it(
    site: Site, make_dx: Callable[..., Dataset]
) -> None:
    ignoring = _with_rules(Rule(name="none", when=(_body_part("CHEST"),), ignore="not wanted here"))
    site.receive(make_dx())
    site.work(ignoring)

    found = site.image(ignoring, PACS)

    assert found.done is not None
    assert "not wanted here" in found.done.put_aside
    assert "worked on, and was put aside" in found.differences


def test_rule_is_asked_before_an_image_is_refused(site: Site, make_dx: Callable[..., Dataset]) -> None:
    site.receive(make_dx(BodyPartExamined="HAND"))
    site.work(PACS)
    wanted = _with_rules(Rule(name="hands", when=(_body_part("HAND"),), ignore="hands go elsewhere"))

    found = site.image(PACS, wanted)

    assert found.would is not None
    assert "hands go elsewhere" in found.would.put_aside
