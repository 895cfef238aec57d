"""Peers with the doctor, and the audit, with a real node."""

from pathlib import Path

import pytest

from node.job_rows import utc_now
from node.service import Node
from node.web import peers
from node.web.deeds import Act, DeedStore
from tests.node.web.conftest import SETTINGS, Browser

PLACES = """
[[destination]]
name = "pacs"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 1
[[web_destination]]
name = "cloud"
url = "http://127.0.0.1:1/tenant-key/dicom-web"
[[peer]]
ae_title = "CR 1/A"
host = "127.0.0.1"
port = 1
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(SETTINGS.format(data=tmp_path / "data") + PLACES)
    return path


def test_doctor_is_asked_by_a_button(operator: Browser, viewer: Browser, node: Node) -> None:
    page = operator.get("/peers").text
    assert "ARCHIVE at 127.0.0.1:1" in page
    assert 'aria-label="Examine CR 1/A"' in page
    assert "<button class" not in viewer.get("/peers").text.split("<main", 1)[1]
    assert viewer.submit("/peers/examine", name="pacs").status_code == 403

    page = operator.submit("/peers/examine", name="pacs").text

    assert "A step failed." in page
    assert "Connection refused" in page or "refuse" in page
    assert "What to do:" in page
    [deed] = DeedStore(node.engine, utc_now).latest(1)
    assert (deed.who, deed.what, deed.about) == ("operator", Act.EXAMINE, "pacs")
    assert operator.submit("/peers/examine", name="nobody").status_code == 404


def test_api_examines_one_at_a_time(operator: Browser) -> None:
    operator.headers["x-csrf-token"] = operator.csrf
    assert [each["name"] for each in operator.get("/api/v1/peers").json()] == [
        "node",
        "pacs",
        "cloud",
        "CR 1/A",
    ]

    told = operator.post("/api/v1/peers/pacs/examine").json()

    assert told[0]["subject"] == "destination"
    assert "failed" in [step["state"] for step in told[0]["steps"]]
    assert operator.post("/api/v1/peers/nobody/examine").status_code == 404
    with peers._ONE_AT_A_TIME:
        answer = operator.post("/api/v1/peers/pacs/examine")
        assert (answer.status_code, "under way" in answer.json()["error"]) == (409, True)
        assert "under way" in operator.submit("/peers/examine", name="pacs").text


def test_path_of_a_url_is_shown_to_nobody(viewer: Browser, operator: Browser) -> None:
    shown = [viewer.get("/peers"), viewer.get("/api/v1/peers")]
    shown.append(operator.submit("/peers/examine", name="cloud"))

    for answer in shown:
        assert answer.status_code == 200
        assert "http://127.0.0.1:1" in answer.text
        assert "tenant-key" not in answer.text


def test_audit_shows_who_did_what_page_by_page(admin: Browser, operator: Browser, node: Node) -> None:
    store = DeedStore(node.engine, utc_now)
    for number in range(101):
        store.write("<eve>", "192.0.2.1", Act.RETRY, f"job {number}, study 2.25.{number}", "it\0 worked")

    page = admin.get("/deeds", params={"who": "<eve>"}).text
    assert '<a href="/jobs/100">job 100, study 2.25.100</a>' in page
    assert "study 2.25.0<" not in page
    assert "<eve>" not in page
    oldest = admin.get("/api/v1/deeds", params={"who": "<eve>"}).json()[-1]["id"]
    older = admin.get("/deeds", params={"who": "<eve>", "before": oldest}).text
    assert "study 2.25.0<" in older
    assert "older</a>" not in older
    assert "log in" in admin.get("/deeds", params={"before": oldest}).text
    assert [operator.get(path).status_code for path in ("/deeds", "/api/v1/deeds")] == [403, 403]
    assert admin.get("/api/v1/deeds", params={"who": "\0", "before": 2**31}).status_code == 422
    assert admin.get("/api/v1/deeds", params={"who": "\0"}).status_code == 200
