"""The settings as pages and over the API: a real node, its file, its versions."""

import html
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ai.stand_in import StandInSegmenter
from config.home import versions_of
from config.settings import load_settings
from config.versions import digest_of
from node.assembly import build_node
from node.job_rows import utc_now
from node.part import Part
from node.service import Node
from node.uptake import Uptake, beginning
from node.usable import UNEXPLAINED, usable
from node.web.accounts import AccountStore
from node.web.deeds import Act, DeedStore
from node.web.roles import Role
from tests.node.web.conftest import PASSWORD, SETTINGS, Browser, logged_in

SECRETS = """
[database]
url = "sqlite:///{data}/canary.db"
[[web_destination]]
name = "cloud"
url = "http://127.0.0.1:1/dicom-web"
user = "paxnode"
password = "canary-password" # password = "canary-old"
# token = "canary-comment"
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    (tmp_path / "data").mkdir(mode=0o700)
    text = SETTINGS.replace("port = 0\ndata_dir", "port = 0\nmax_associations = 25\ndata_dir") + SECRETS
    path.write_text(text.format(data=tmp_path / "data"))
    return path


@pytest.fixture
def uptake(node: Node, settings_file: Path) -> Iterator[Uptake]:
    """Who lets the node take up what its file says."""
    watch = Uptake(settings_file, node, beginning(settings_file, usable), usable)
    watch.start()
    yield watch
    watch.stop()


def _form(browser: Browser) -> dict[str, str]:
    """Return the editor's fields as the page shows them."""
    return _editor(browser.get("/settings").text)


def _editor(page: str) -> dict[str, str]:
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    began = re.search(r'name="began" value="(\w+)"', page)
    assert text
    assert began
    return {"text": html.unescape(text[1]), "began": began[1]}


def _changed(page: str) -> tuple[str, ...]:
    """Return the first setting that differs, before and after."""
    return tuple(re.findall(r"</span><code>(.*?)</code></div>", page)[:2])


def _with(fields: dict[str, str], before: str, after: str) -> dict[str, str]:
    assert before in fields["text"]
    return {**fields, "text": fields["text"].replace(before, after).replace("\n", "\r\n")}  # as browsers do


def _goes_by(node: Node, uptake: Uptake, associations: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if node.settings.node.max_associations == associations:
            return True
        uptake.ask()
        time.sleep(0.05)
    return False


def test_wrong_key_is_told_with_its_line_and_changes_nothing(
    admin: Browser, uptake: Uptake, settings_file: Path
) -> None:
    before = settings_file.read_bytes()
    wrong = _with(_form(admin), "max_associations", "max_asociations")

    told = [admin.submit(f"/settings/{act}", **wrong) for act in ("check", "dry-run", "activate")]

    assert [answer.status_code for answer in told] == [200, 200, 422]
    for answer in told:
        problem = (
            "node.toml, line 5: unknown key 'max_asociations' in [node]; did you mean 'max_associations'?"
        )
        assert problem in html.unescape(answer.text)
        assert 'data-line="5"' in answer.text
        assert "max_asociations = 25" in answer.text  # what was typed stays
    assert settings_file.read_bytes() == before
    assert len(versions_of(settings_file).all()) == 1


def test_settings_are_activated_and_rolled_back_and_keep_their_secrets(
    admin: Browser, node: Node, uptake: Uptake, settings_file: Path
) -> None:
    seen: list[str] = []
    admin.event_hooks["response"] = [lambda answer: seen.append(answer.read().decode())]
    before = settings_file.read_text()
    form = _form(admin)
    wanted = _with(form, "max_associations = 25", "max_associations = 7")

    page = admin.submit("/settings/check", **wanted).text
    assert "[node] max_associations" in page
    assert _changed(page) == ("25", "7")
    assert admin.submit("/settings/dry-run", **wanted, last="5").status_code == 200
    assert admin.submit("/settings/activate", **wanted, why="fewer <at once>").status_code == 303

    assert settings_file.read_text() == before.replace("max_associations = 25", "max_associations = 7")
    assert _goes_by(node, uptake, 7)
    assert "and the node goes by it" in admin.get("/settings").text
    latest = versions_of(settings_file).latest()
    assert latest is not None
    assert (latest.number, latest.who, latest.why) == (2, "admin", "fewer <at once>")

    late = admin.submit("/settings/activate", **_with(form, "max_associations = 25", "max_associations = 9"))
    assert late.status_code == 409
    assert "(version 2, by admin): nothing was written" in late.text
    assert "max_associations = 9" in late.text

    for path in ("versions", "versions/1", "versions?before=1&after=2", "standing"):
        assert admin.get(f"/settings/{path}").status_code == 200
    assert admin.submit("/settings/versions/1/roll-back", why="too few").status_code == 303
    assert settings_file.read_text() == before
    assert _goes_by(node, uptake, 25)

    deeds = DeedStore(node.engine, utc_now).latest(2)
    assert [(deed.who, deed.what, deed.about, deed.detail) for deed in deeds] == [
        ("admin", Act.ROLL_BACK, "version 1", "too few; done: version 3"),
        ("admin", Act.ACTIVATE, "settings", "fewer <at once>; done: version 2"),
    ]
    assert len(seen) > 15
    assert not [text for text in seen if "canary" in text or "<at once>" in text]


def test_api_does_the_same(admin: Browser, uptake: Uptake, settings_file: Path) -> None:
    admin.headers["x-csrf-token"] = admin.csrf
    shown = admin.get("/api/v1/settings").json()
    text = shown["text"].replace("max_associations = 25", "max_associations = 7")
    at = "/api/v1/settings"

    told = admin.post(f"{at}/check", json={"text": text.replace("[web]", "[wbe]")}).json()
    assert (told["line"], told["changes"]) == (8, [])
    assert "did you mean 'web'?" in told["problem"]
    told = admin.post(f"{at}/check", json={"text": text}).json()
    assert [each["place"] for each in told["changes"]] == ["[node] max_associations"]
    assert admin.post(f"{at}/dry-run", json={"text": text, "last": 201}).status_code == 422
    assert admin.post(f"{at}/dry-run", json={"text": text}).json()["images"] == []
    body = {"text": text, "sha256": shown["sha256"], "why": "less"}
    assert admin.post(f"{at}/activate", json={**body, "sha256": "0" * 64}).status_code == 409
    assert admin.post(f"{at}/activate", json=body).json() == {"version": 2}
    assert admin.get(f"{at}/diff?before=2&after=1").json()[0]["after"] == "25"
    assert admin.post(f"{at}/rollback", json={"version": 1}).json() == {"version": 3}
    assert [each["is_active"] for each in admin.get(f"{at}/versions").json()] == [True, False, False]
    assert "canary" not in admin.get(f"{at}/versions/1").text
    assert "canary-password" in settings_file.read_text()
    assert admin.get(f"{at}/versions/9").status_code == 404
    assert admin.post(f"{at}/rollback", json={"version": 9}).status_code == 404
    for bad in (b'{"text": "\\ud800"}', b'{"text": "\\u0000"}', b"[]", b"{", b'{"text": null}'):
        answer = admin.post(f"{at}/check", content=bad, headers={"content-type": "application/json"})
        assert answer.status_code in {200, 422}, bad


def test_rules_that_leave_images_unmatched_are_a_warning(admin: Browser, uptake: Uptake) -> None:
    warned = "every image but these stays unmatched, kept and not worked on: Modality is DX (rule dx)"
    form = _form(admin)
    rule = '[[rule]]\nname = "dx"\nwhen = [{ attribute = "Modality", is = "DX" }]\n'
    assert warned not in admin.submit("/settings/check", **form).text
    wanted = {**form, "text": form["text"] + rule}

    checked = admin.submit("/settings/check", **wanted).text
    assert "It can be used." in checked
    assert warned in checked
    assert warned not in admin.get("/settings").text
    assert admin.submit("/settings/activate", **wanted).status_code == 303
    assert warned in admin.get("/settings").text
    headers = {"x-csrf-token": admin.csrf}
    told = admin.post("/api/v1/settings/check", json={"text": wanted["text"]}, headers=headers).json()
    assert (told["problem"], warned in told["warning"]) == ("", True)
    assert warned in admin.get("/api/v1/settings/standing").json()["warning"]


def test_only_admins_change_settings(viewer: Browser, operator: Browser, settings_file: Path) -> None:
    before = settings_file.read_bytes()
    for browser in (viewer, operator):
        page = browser.get("/settings").text
        assert "password = &#34;***&#34; # password = &#34;***&#34;" in page
        assert "<textarea" not in page
        csrf = browser.csrf
        for path in ("check", "dry-run", "activate", "versions/1/roll-back"):
            assert browser.post(f"/settings/{path}", data={"csrf": csrf, "text": ""}).status_code == 403
        for path in ("check", "dry-run", "activate", "rollback"):
            headers = {"x-csrf-token": csrf}
            answer = browser.post(
                f"/api/v1/settings/{path}", json={"text": "", "sha256": "", "version": 1}, headers=headers
            )
            assert answer.status_code == 403
    assert settings_file.read_bytes() == before


def test_console_does_not_tell_which_files_there_are_on_the_machine(
    admin: Browser, settings_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "manifest.json").write_text('{"id": "foreign-canary"}')
    (tmp_path / "foreign.pem").write_text("foreign-canary")
    os.mkfifo(tmp_path / "fifo")
    form, headers = _form(admin), {"x-csrf-token": admin.csrf}

    def told(before: str, after: str, name: str, act: str = "check") -> str:
        text = _with(form, before, after.format(tmp_path / name))["text"]
        body = {"text": text, "sha256": form["began"]}
        answer = admin.post(f"/api/v1/settings/{act}", json=body, headers=headers).json()
        return str(answer.get("problem") or answer["error"])

    bundle = ('bundle = "stand-in"', 'bundle = "{}"')
    said = {told(*bundle, name) for name in ("none", "foreign", "fifo")}
    said |= {told(*bundle, "foreign", act) for act in ("dry-run", "activate")}
    assert said == {f"node.toml, line 12: 'bundle' {UNEXPLAINED}"}
    tls = ("[web]\n", '[tls]\nauthorities = "{}"\n[web]\n')
    said = {told(*tls, name) for name in ("none", "foreign.pem", "fifo")}
    assert said == {f"node.toml, line 9: 'authorities' {UNEXPLAINED}"}


def test_digests_from_which_secrets_can_be_guessed_are_for_admins(
    admin: Browser, viewer: Browser, uptake: Uptake, settings_file: Path
) -> None:
    paths = ("/settings", "/settings/versions", "/settings/versions/1")
    digest = digest_of(settings_file.read_text())[:12]
    for path in (*paths, *(f"/api/v1{path}" for path in paths)):
        assert digest in admin.get(path).text
        assert digest not in viewer.get(path).text


def test_file_that_cannot_be_used_is_for_admins(
    admin: Browser, viewer: Browser, uptake: Uptake, settings_file: Path
) -> None:
    settings_file.write_text(settings_file.read_text() + '[cluod]\nkey = "unheard-of"\n')
    for path in ("/settings", "/api/v1/settings"):
        assert "unheard-of" in admin.get(path).text
        shown = viewer.get(path).text
        assert "unknown section [cluod]" in html.unescape(shown)
        assert "max_associations = 25" in shown
        assert "unheard-of" not in shown


def test_broken_file_can_be_mended_in_the_console(
    admin: Browser, node: Node, uptake: Uptake, settings_file: Path
) -> None:
    settings_file.write_text(settings_file.read_text().replace("[node]", "[node"))

    assert "The file cannot be used" in admin.get("/settings").text
    form = _with(_form(admin), "max_associations = 25", "max_associations = 8")
    assert admin.submit("/settings/activate", **form).status_code == 303

    assert _goes_by(node, uptake, 8)
    assert "canary-password" in settings_file.read_text()


def test_file_that_cannot_be_written_is_told_before_and_leaves_no_version(
    admin: Browser, node: Node, uptake: Uptake, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "The node may not write this file"
    assert told not in admin.get("/settings").text
    rename = os.rename

    def cannot(source: Path, target: Path) -> None:
        if Path(target).name.startswith((settings_file.name, f".{settings_file.name}")):
            raise OSError(30, "Read-only file system")
        rename(source, target)

    monkeypatch.setattr(os, "rename", cannot)
    form = _form(admin)
    assert f"{told} (Read-only file system)" in admin.get("/settings").text
    assert admin.get("/api/v1/settings/standing").json()["is_writable"] is False
    answer = admin.submit(
        "/settings/activate", **_with(form, "max_associations = 25", "max_associations = 7")
    )

    assert answer.status_code == 422
    assert "Read-only file system" in answer.text
    [deed] = DeedStore(node.engine, utc_now).latest(1)
    assert (deed.what, deed.detail) == (Act.ACTIVATE, "failed: SettingsError")
    assert [each.number for each in versions_of(settings_file).all()] == [1]


def test_node_that_only_listens_activates_no_bundle_that_is_missing(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    node = build_node(load_settings(settings_file), parts={Part.LISTEN}, settings_file=settings_file)
    AccountStore(node.engine, utc_now).add("admin", PASSWORD, Role.ADMIN)
    node.start()
    try:
        with closing(logged_in(node, Role.ADMIN)) as browser:
            form = _form(browser)
            missing = _with(form, 'bundle = "stand-in"', 'bundle = "/none/such"')
            assert browser.submit("/settings/activate", **missing).status_code == 422
            fewer = _with(form, "max_associations = 25", "max_associations = 7")
            assert browser.submit("/settings/activate", **fewer).status_code == 303
    finally:
        node.stop()


def test_node_without_a_settings_file_says_so(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    node = build_node(load_settings(settings_file), segmenter=StandInSegmenter())
    AccountStore(node.engine, utc_now).add("admin", PASSWORD, Role.ADMIN)
    node.start()
    try:
        assert node.web is not None
        with Browser(base_url=f"http://127.0.0.1:{node.web.port}", trust_env=False, timeout=60) as browser:
            browser.log_in("admin")
            assert "started without a settings file" in browser.get("/settings").text
            assert [browser.get(path).status_code for path in ("/settings/versions", "/api/v1/settings")] == [
                404, 404
            ]  # fmt: skip
            assert browser.submit("/settings/activate", text="", began="").status_code == 404
    finally:
        node.stop()


def test_what_was_typed_survives_the_end_of_the_session(
    admin: Browser, uptake: Uptake, settings_file: Path
) -> None:
    before, csrf = settings_file.read_bytes(), admin.csrf
    typed = _with(_form(admin), "max_associations = 25", "max_associations = 7") | {"why": "<fewer>"}
    admin.submit("/logout")
    for act in ("check", "dry-run", "activate"):
        over = admin.post(f"/settings/{act}", data={"csrf": csrf, **typed})
        assert over.status_code == 401
        assert "what you typed in the settings is kept" in over.text
    other = admin.post("/login", data={"name": "viewer", "password": PASSWORD, **_hidden(over.text)})
    assert (other.status_code, other.headers["location"], other.text) == (303, "/settings", "")
    wrong = admin.post("/login", data={"name": "admin", "password": "wrong", **_hidden(over.text)})
    assert wrong.status_code == 401
    back = admin.post("/login", data={"name": "admin", "password": PASSWORD, **_hidden(wrong.text)})

    assert back.status_code == 200
    assert "your session was over, and nothing was activated" in back.text
    assert _changed(back.text) == ("25", "7")
    assert 'value="&lt;fewer&gt;"' in back.text
    assert settings_file.read_bytes() == before
    shown = {**_editor(back.text), "why": "<fewer>"}
    assert "max_associations = 7" in shown["text"]
    assert admin.submit("/settings/activate", **shown).status_code == 303
    assert b"max_associations = 7" in settings_file.read_bytes()


def _hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form, as a browser sends them."""
    fields = {
        name: html.unescape(value)
        for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    }
    text = re.search(r'<textarea name="text" hidden>\n(.*?)</textarea>', page, re.DOTALL)
    assert text
    return {**fields, "text": html.unescape(text[1])}
