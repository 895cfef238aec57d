"""The rules as pages and over the API, tried on files, with a real node."""

from io import BytesIO
from pathlib import Path

import pytest
from markupsafe import escape

from config.settings import Settings
from node.job_rows import utc_now
from node.rule_facts import Titles
from node.service import Node
from node.web.deeds import Act, DeedStore
from node.web.rule_flow import flow_of, tried
from tests.conftest import MakeDx
from tests.node.web.conftest import SETTINGS, Browser

RULES = """
[[destination]]
name = "pacs"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 1
[[rule]]
name = "laterals"
when = [{ attribute = "view", one_of = ["LL", "RL"] }]
ignore = "frontal <b>only</b>"
[[rule]]
name = "emergency"
when = [{ attribute = "calling_ae_title", is = "ER-CR1" }, { attribute = "PatientID", begins_with = "SYN" }]
priority = "urgent"
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(SETTINGS.format(data=tmp_path / "data") + RULES)
    return path


@pytest.fixture
def chest(make_dx: MakeDx) -> bytes:
    file = BytesIO()
    make_dx().save_as(file, enforce_file_format=True)
    return file.getvalue()


def _tried(browser: Browser, content: bytes, calling: str) -> str:
    fields = {"csrf": browser.csrf, "calling": calling, "called": ""}
    answer = browser.post("/rules/try", data=fields, files={"file": ("a.dcm", content)})
    assert answer.status_code in {200, 422}
    return answer.text


def test_page_shows_the_rules_and_which_one_fires_and_why(viewer: Browser, node: Node, chest: bytes) -> None:
    page = viewer.get("/rules").text
    assert "view one of LL, RL" in page
    assert "frontal &lt;b&gt;only&lt;/b&gt;" in page
    assert "results to every destination: pacs" in page

    page = _tried(viewer, chest, "ER-CR1")
    assert "It would be worked on" in page
    assert "found: SYNTHETIC-1" in page
    assert "masks of up to 161 structures (SEG)" in page

    page = _tried(viewer, chest, "<ELSE>")
    assert "It would be unmatched" in page
    assert "found: &lt;ELSE&gt;" in page

    page = _tried(viewer, b"no DICOM at all " * 100, "ER-CR1")
    assert "no DICOM image, or one cut off" in page
    assert "It would be" not in page
    assert not [path for path in (node.settings.node.data_dir / "objects").rglob("*") if path.is_file()]
    deeds = DeedStore(node.engine, utc_now).latest(3)
    assert {(deed.who, deed.what, deed.about, deed.detail) for deed in deeds} == {
        ("viewer", Act.TRY_RULES, "", "done"),
        ("viewer", Act.TRY_RULES, "", "failed: UndecodableError"),
    }


def test_image_that_its_header_has_refused_ends_in_red_with_the_reason(
    viewer: Browser, chest: bytes, make_dx: MakeDx
) -> None:
    file = BytesIO()
    make_dx(ViewPosition="RLO").save_as(file, enforce_file_format=True)
    headers, calling = {"x-csrf-token": viewer.csrf}, {"calling": "ER-CR1"}

    page = _tried(viewer, file.getvalue(), "ER-CR1")
    files = {"file": ("a.dcm", file.getvalue())}
    told = viewer.post("/api/v1/rules/try", data=calling, files=files, headers=headers).json()

    assert told["fate"] == "refused"
    assert told["flow"]["refusal"] == told["reason"] != ""
    flow = page.split('<ol class="flow">')[1].split("</ol>")[0]
    last = flow.split("<li ")[-1]
    assert last.startswith('class="gate refused"')
    assert f"it would be refused</b>, whatever the rules say: {escape(told['reason'])}" in last
    assert 'class="rule decides"' not in flow
    assert 'class="gate refused"' not in _tried(viewer, chest, "ER-CR1")


@pytest.mark.parametrize(
    ("bundle", "fate"), [("", "refused"), ("stand-in", "refused"), ("not-here", "processed")]
)
def test_view_that_the_model_does_not_support_is_refused_where_the_model_is_known(
    make_dx: MakeDx, bundle: str, fate: str
) -> None:
    file = BytesIO()
    make_dx(ViewPosition="LL").save_as(file, enforce_file_format=True)
    file.seek(0)
    settings = Settings.model_validate({"model": {"bundle": bundle}})

    trial = tried(settings, "side.dcm", file, Titles("CR", "PAXNODE"))

    assert trial.fate == fate
    assert ("stated to be lateral (LL)" in trial.flow.refusal) == (fate == "refused")


def test_api_tells_the_same(viewer: Browser, chest: bytes) -> None:
    headers = {"x-csrf-token": viewer.csrf}
    files = {"file": ("a.dcm", chest)}

    told = viewer.post("/api/v1/rules/try", data={"calling": "ER-CR1"}, files=files, headers=headers).json()

    assert (told["fate"], told["decided_by"], told["priority"]) == ("processed", ["emergency"], "urgent")
    assert [each["destinations"] for each in told["shares"]] == [["pacs"]]
    laterals, emergency = told["flow"]["rules"]
    assert laterals["outcome"] == "does not hold"
    assert laterals["conditions"] == [{"wanted": "view one of LL, RL", "found": "PA", "holds": False}]
    assert emergency["outcome"] == "decides"
    assert [each["holds"] for each in emergency["conditions"]] == [True, True]
    assert [rule["name"] for rule in viewer.get("/api/v1/rules").json()["rules"]] == ["laterals", "emergency"]
    for content, kind in ((b"", "application/json"), (b"x", "multipart/form-data"), (b"a=b", "text/plain")):
        answer = viewer.post("/api/v1/rules/try", content=content, headers={**headers, "content-type": kind})
        assert answer.status_code == 422


def test_file_of_a_stranger_is_not_even_read(stranger: Browser, chest: bytes) -> None:
    answer = stranger.post("/api/v1/rules/try", files={"file": ("a.dcm", chest)})

    assert (answer.status_code, answer.json()) == (401, {"error": "log in first"})


def test_rule_behind_one_that_always_holds_is_told() -> None:
    rules = {"rule": ({"name": "all"}, {"name": "never"})}

    first = flow_of(Settings.model_validate(rules))
    both = flow_of(Settings.model_validate({**rules, "routing": {"match": "all"}}))

    assert [rule.is_never_asked for rule in first.rules] == [False, True]
    assert [rule.is_never_asked for rule in both.rules] == [False, False]
    assert flow_of(Settings()).end == "results go to the data folder"
