"""The images in the console, of a node that has really worked on one and refused another."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from io import BytesIO, StringIO
from typing import NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from sqlalchemy import update

from ai.stand_in import StandInSegmenter
from config.settings import load_settings
from node.archive import Archive
from node.assembly import build_node
from node.claiming import CLOCK_TOLERANCE_S
from node.database import deliveries, writing
from node.decode import parse
from node.job_rows import utc_now
from node.job_store import JobStore
from node.jobs import ReceivedObject
from node.service import Node
from node.states import State
from node.web.accounts import AccountStore
from node.web.deeds import Act, DeedStore
from node.web.roles import Role
from node.web.sessions import Lifetimes, SessionStore
from tests.node.conftest import logged
from tests.node.web.conftest import PASSWORD, SETTINGS, Browser, logged_in, send, until

ROWS, COLUMNS = 300, 256
NAME, PATIENT, ACCESSION = "Canary^Bird", "CANARY-ID", "ACC-17"
CHEST, SIDE = 1, 2
DESTINATION = """
[delivery]
first_retry_s = 0.1
[[destination]]
name = "pacs"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
"""


class Site(NamedTuple):
    """A node with a chest that is done, and a lateral view of its study that is refused."""

    node: Node
    store: JobStore
    archive: Archive
    chest: Dataset
    log: StringIO
    viewer: Browser
    operator: Browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, make_dx: Callable[..., Dataset]) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        log = stack.enter_context(logged())
        stack.enter_context(pytest.MonkeyPatch.context()).delenv("PAXNODE_WEB__ENABLED")
        archive = stack.enter_context(Archive(folder / "archive"))
        file = folder / "node.toml"
        file.write_text(SETTINGS.format(data=folder / "data") + DESTINATION.format(port=archive.port))
        node = build_node(load_settings(file), segmenter=StandInSegmenter(), settings_file=file)
        accounts = AccountStore(node.engine, utc_now)
        for role in (Role.VIEWER, Role.OPERATOR):
            accounts.add(role.value, PASSWORD, role)
        node.start()
        stack.callback(node.stop)
        known = {"PatientName": NAME, "PatientID": PATIENT, "AccessionNumber": ACCESSION}
        chest = make_dx(ROWS, COLUMNS, **known)
        side = make_dx(ROWS, COLUMNS, ViewPosition="LL", StudyInstanceUID=chest.StudyInstanceUID)
        send(node, chest, side)
        store = JobStore(node.engine)
        until(lambda: [job.state for job in store.jobs()] == [State.REFUSED, State.DONE])
        browsers = [logged_in(node, role) for role in (Role.VIEWER, Role.OPERATOR)]
        for browser in browsers:
            stack.enter_context(closing(browser))
        yield Site(node, store, archive, chest, log, *browsers)


def post(browser: Browser, path: str, **body: str) -> httpx.Response:
    """Ask as a page's script does."""
    return browser.post(f"/api/v1{path}", json=body, headers={"X-CSRF-Token": browser.csrf})


def numbers(answer: httpx.Response) -> list[int]:
    """Return the jobs that a page lists."""
    assert answer.status_code == 200
    return [int(number) for number in re.findall(r'<a href="/jobs/([0-9]+)"', answer.text)]


def size_of(answer: httpx.Response) -> tuple[int, int]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return Image.open(BytesIO(answer.content)).size


# ---- looking for images


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (ACCESSION, [CHEST]),
        (f" {PATIENT} ", [CHEST]),
        ("SOPInstanceUID", [CHEST]),
        ("StudyInstanceUID", [SIDE, CHEST]),
        ("CR_ROOM", [SIDE, CHEST]),
        (NAME, []),
    ],
)
def test_image_is_found_by_what_people_know(site: Site, words: str, found: list[int]) -> None:
    asked = {"q": str(site.chest.get(words, words))}
    page = site.viewer.get("/jobs", params=asked)

    assert numbers(page) == found
    assert ("No image is found" in page.text) == (not found)
    lines = site.viewer.get("/api/v1/jobs", params=asked).json()["lines"]
    assert [line["job"] for line in lines] == found


def test_images_are_found_by_state(site: Site) -> None:
    page = site.viewer.get("/jobs?q=&state=refused&before=0")

    assert numbers(page) == [SIDE]
    assert "<option selected>refused</option>" in page.text
    assert "lateral" in page.text
    assert site.viewer.get("/jobs?state=nonsense").status_code == 422


def test_older_images_are_on_the_next_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.web.job_list.PAGE", 1)
    first = site.viewer.get("/jobs?q=CR_ROOM")
    [older] = re.findall(r'rel="next" href="([^"]+)"', first.text)
    second = site.viewer.get(older.replace("&amp;", "&"))

    assert (numbers(first), numbers(second)) == ([SIDE], [CHEST])
    assert 'rel="next"' not in second.text


# ---- one image


def test_page_tells_everything_about_an_image(site: Site) -> None:
    text = site.viewer.get(f"/jobs/{CHEST}").text

    for words in (PATIENT, ACCESSION, site.chest.SOPInstanceUID, "results stored", "SEG stored at pacs"):
        assert words in text
    for words in ("cardiothoracic ratio", "not computed", '<polyline points="', f'href="/jobs/{SIDE}"'):
        assert words in text
    assert NAME.partition("^")[0] not in text


def test_image_is_not_parsed_at_every_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def counted(content: bytes) -> Dataset:
        parsed.append(content)
        return parse(content)

    monkeypatch.setattr("node.study_pictures.parse", counted)
    for path in (f"/jobs/{CHEST}", f"/api/v1/jobs/{CHEST}", f"/jobs/{CHEST}"):
        assert site.viewer.get(path).status_code == 200

    assert len(parsed) <= 1  # none where another test has looked before


def test_program_is_told_the_same(site: Site) -> None:
    told = site.viewer.get(f"/api/v1/jobs/{CHEST}").json()

    assert told["view"]["job"]["state"] == "done"
    assert told["view"]["timeline"][0]["what"] == "received"
    assert [each["delivery"]["state"] for each in told["view"]["deliveries"]] == ["delivered"] * 3
    assert all(each["said"]["stored"]["holds"] for each in told["view"]["deliveries"])
    values = {each["name"]: each for each in told["measured"]["values"]}
    assert (values["heart width"]["unit"], values["heart width"]["value"] > 0) == ("mm", True)
    assert told["film"]["width"] == COLUMNS


def test_radiograph_and_masks_are_pictures_of_one_size(site: Site) -> None:
    assert size_of(site.viewer.get(f"/jobs/{CHEST}/picture.png")) == (COLUMNS, ROWS)
    part = site.viewer.get(f"/jobs/{CHEST}/structures").text
    masks = re.findall(r'data-mask="([^"]+)"', part)

    assert len(masks) == len(set(masks)) > 3
    for mask in masks:
        shown = site.viewer.get(mask)
        assert size_of(shown) == (COLUMNS, ROWS)
        assert 0 < np.asarray(Image.open(BytesIO(shown.content)).convert("RGBA"))[..., 3].mean() < 255
    told = site.viewer.get(f"/api/v1/jobs/{CHEST}/masks").json()
    listed = {each["label"]: each["mask"] for group in told["groups"] for each in group["structures"]}
    assert sorted(listed.values()) == sorted(f"/api/v1{mask}" for mask in masks)
    assert size_of(site.viewer.get(listed["heart"])) == (COLUMNS, ROWS)
    unknown = site.viewer.get(f"/jobs/{CHEST}/masks/hart.png?of={told['version']}")
    assert unknown.status_code == 404


def test_masks_of_other_results_than_the_page_shows_are_not_given(site: Site) -> None:
    [part] = re.findall(r'data-load="([^"]+)"', site.viewer.get(f"/jobs/{CHEST}").text)
    path, _, version = part.partition("?of=")
    assert version == site.viewer.get(f"/api/v1/jobs/{CHEST}").json()["measured"]["version"] != ""
    assert "data-mask=" in site.viewer.get(part).text

    stale = site.viewer.get(path, params={"of": "0123456789abcdef"})

    assert "have changed; load the page again" in stale.text
    assert "data-mask=" not in stale.text
    for mask in (f"/jobs/{CHEST}/masks/heart.png", f"/api/v1/jobs/{CHEST}/masks/heart.png"):
        refused = site.viewer.get(mask, params={"of": "0123456789abcdef"})
        assert (refused.status_code, "have changed; load the page again" in refused.text) == (409, True)
        assert site.viewer.get(mask).status_code == 422  # of no version: of no results


def test_refused_image_is_shown_with_the_reason(site: Site) -> None:
    page = site.viewer.get(f"/jobs/{SIDE}")

    assert page.status_code == 200
    assert "the view is stated to be lateral" in page.text
    assert "There are no results of job 2" in page.text
    assert "There are no results" in site.viewer.get(f"/jobs/{SIDE}/structures").text
    assert size_of(site.viewer.get(f"/jobs/{SIDE}/picture.png")) == (COLUMNS, ROWS)


@pytest.mark.parametrize(("job", "status"), [("999", 404), ("0", 422), ("99999999999", 422), ("x", 422)])
def test_number_of_no_job_is_told(site: Site, job: str, status: int) -> None:
    for path in ("", "/structures", "/picture.png", "/masks/heart.png?of=1"):
        is_part = path == "/structures" and status == 404  # says so in its place
        assert site.viewer.get(f"/jobs/{job}{path}").status_code == (200 if is_part else status)
    assert site.viewer.get(f"/api/v1/jobs/{job}").status_code == status
    assert post(site.operator, f"/jobs/{job}/retry").status_code == status


# ---- what may be done


def test_viewer_may_do_nothing(site: Site) -> None:
    before = site.store.history(CHEST)

    assert 'action="/jobs/1/' not in site.viewer.get(f"/jobs/{CHEST}").text
    for order in ("retry", "rerun", "resend", "cancel"):
        assert site.viewer.submit(f"/jobs/{CHEST}/{order}").status_code == 403
        assert post(site.viewer, f"/jobs/{CHEST}/{order}").status_code == 403
    assert site.store.history(CHEST) == before


def test_results_are_sent_again_to_whom_it_is_asked(site: Site) -> None:
    before = len(site.archive.arrivals)
    forms = re.findall(r'action="/jobs/1/([a-z]+)"', site.operator.get(f"/jobs/{CHEST}").text)
    assert forms == ["rerun", "resend"]

    answer = site.operator.submit(f"/jobs/{CHEST}/resend", to="pacs")

    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/1?done=resend")
    assert "Its results are sent again." in site.operator.get("/jobs/1?done=resend").text
    until(lambda: site.store.job(CHEST).state is State.DONE)  # type: ignore[union-attr]
    assert len(site.archive.arrivals) == 2 * before
    assert set(site.archive.counts.values()) == {2}
    gone = post(site.operator, f"/jobs/{CHEST}/resend", destination="elsewhere")
    assert (gone.status_code, "was for elsewhere" in gone.json()["error"]) == (409, True)
    endings = [
        deed.detail for deed in DeedStore(site.node.engine, utc_now).latest(50) if deed.what == Act.RESEND
    ]
    assert endings[:2] == ["refused: the job is done", "to pacs; done"]


def test_results_are_not_sent_again_to_whom_the_settings_do_not_have(site: Site) -> None:
    theirs = update(deliveries).where(deliveries.c.job_id == CHEST)
    with writing(site.node.engine) as connection:
        connection.execute(theirs.values(destination="renamed"))
    page = site.operator.get(f"/jobs/{CHEST}").text
    refused = site.operator.submit(f"/jobs/{CHEST}/resend", to="renamed")
    with writing(site.node.engine) as connection:
        connection.execute(theirs.values(destination="pacs"))

    assert 'action="/jobs/1/resend"' not in page
    assert (refused.status_code, "not in the settings any more: renamed" in refused.text) == (409, True)
    assert re.findall("<option>([^<]*)<", site.operator.get(f"/jobs/{CHEST}").text) == ["pacs"]
    assert site.store.job(CHEST).state is State.DONE  # type: ignore[union-attr]


def test_refused_image_is_tried_again(site: Site) -> None:
    assert post(site.operator, f"/jobs/{SIDE}/retry").json()["job"] == SIDE

    until(lambda: [event.event for event in site.store.history(SIDE)][-3:] == ["retry", "claim", "refuse"])


def test_image_that_waits_is_let_go_once(site: Site, make_received: Callable[..., ReceivedObject]) -> None:
    ahead = timedelta(seconds=CLOCK_TOLERANCE_S / 2)  # further ahead it would count as a clock that was wrong
    soon = JobStore(site.node.engine, clock=lambda: utc_now() + ahead)
    soon.add_received(make_received(calling_ae_title="LATER"))  # no worker begins with it before
    [waits] = site.store.look_up("LATER")
    assert waits.state is State.QUEUED

    assert site.operator.submit(f"/jobs/{waits.id}/cancel", why="sent by mistake").status_code == 303
    page = site.operator.get(f"/jobs/{waits.id}?done=cancel").text
    assert "It was let go." in page
    assert "sent by mistake" in page
    again = site.operator.submit(f"/jobs/{waits.id}/cancel")
    assert (again.status_code, "only one that waits can be cancelled" in again.text) == (409, True)


# ---- what is written down


def test_who_looked_and_who_did_what_is_written_down(site: Site) -> None:
    with program(site, "seeker") as browser:
        browser.get("/jobs", params={"q": PATIENT})
        browser.get(f"/jobs/{CHEST}")
    deeds = DeedStore(site.node.engine, utc_now).latest(500)
    about = f"job {CHEST}, study {site.chest.StudyInstanceUID}"

    assert [(deed.what, deed.about) for deed in deeds[:2]] == [(Act.LOOK, about), (Act.SEARCH, "")]
    assert deeds[1].detail == "by words: 1 found"
    assert post(site.operator, f"/jobs/{CHEST}/cancel").status_code == 409
    tried = DeedStore(site.node.engine, utc_now).latest(1)[0]
    assert (tried.who, tried.what, tried.about) == ("operator", Act.CANCEL, about)
    assert tried.detail == "refused: the job is done"
    told = " ".join(f"{deed.about} {deed.detail}" for deed in deeds)
    assert not any(word in told for word in (*NAME.split("^"), PATIENT, ACCESSION, "mistake"))


@contextmanager
def program(site: Site, name: str) -> Iterator[Browser]:
    """A program with a token of an account of its own."""
    AccountStore(site.node.engine, utc_now).add(name, PASSWORD, Role.VIEWER)
    day = timedelta(days=1)
    token = SessionStore(site.node.engine, utc_now, lambda: Lifetimes(day, day)).make_token(name, day)
    headers = {"Authorization": f"Bearer {token}"}
    with Browser(base_url=site.viewer.base_url, trust_env=False, timeout=60, headers=headers) as browser:
        yield browser


def test_same_search_is_written_down_once_and_another_again(site: Site) -> None:
    searches: tuple[dict[str, str], ...] = (
        {"q": PATIENT},
        {"q": f" {PATIENT} "},
        {"q": PATIENT, "state": "done"},
        {"q": ACCESSION},
        {"state": "refused"},
        {},
    )
    with program(site, "searcher") as browser:
        for wanted in searches * 2:
            for path in ("/jobs", "/api/v1/jobs"):
                assert browser.get(path, params=wanted).status_code == 200
    with program(site, "other") as browser:
        browser.get("/jobs", params={"q": PATIENT})

    deeds = DeedStore(site.node.engine, utc_now).latest(99, who="searcher")
    told = [(deed.what, deed.detail.partition(":")[0]) for deed in reversed(deeds)]
    assert told == [(Act.SEARCH, kind) for kind in ("by words", "by words", "all", "all")]
    assert len(DeedStore(site.node.engine, utc_now).latest(99, who="other")) == 1


@pytest.mark.parametrize("pictures", ["/jobs/1/structures", "/api/v1/jobs/1/masks"])
def test_who_fetches_masks_only_is_written_down_once(site: Site, pictures: str) -> None:
    name = f"program{len(pictures)}"
    version = site.viewer.get("/api/v1/jobs/1/masks").json()["version"]
    paths = [f"{root}/jobs/1/masks/heart.png?of={version}" for root in ("", "/api/v1")]
    with program(site, name) as browser:
        for path in (pictures, *paths, "/jobs/1/picture.png", "/api/v1/jobs/1/picture.png", pictures):
            assert browser.get(path).status_code == 200

    [deed] = DeedStore(site.node.engine, utc_now).latest(9, who=name)
    assert (deed.what, deed.about) == (Act.LOOK, f"job 1, study {site.chest.StudyInstanceUID}")


def test_one_mask_is_written_down(site: Site) -> None:
    version = site.viewer.get("/api/v1/jobs/1/masks").json()["version"]
    for root in ("", "/api/v1"):
        with program(site, f"one{len(root)}") as browser:
            assert browser.get(f"{root}/jobs/1/masks/heart.png?of={version}").status_code == 200
        assert len(DeedStore(site.node.engine, utc_now).latest(9, who=f"one{len(root)}")) == 1


def test_page_and_its_pictures_are_one_look_and_the_next_page_another(site: Site) -> None:
    with program(site, "reader") as browser:
        for looks in (1, 2):
            for path in ("", "/picture.png", "/structures"):
                assert browser.get(f"/jobs/{CHEST}{path}").status_code == 200
            assert len(DeedStore(site.node.engine, utc_now).latest(9, who="reader")) == looks


def test_nobody_is_named_in_the_log(site: Site) -> None:
    log = site.log.getvalue()

    assert "object received" in log
    assert not any(word in log for word in (*NAME.split("^"), PATIENT, ACCESSION, "mistake"))
