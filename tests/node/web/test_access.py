"""Who gets in, how far, and how it ends."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from ai.stand_in import StandInSegmenter
from config.settings import load_settings
from node.assembly import build_node
from node.database import engine_for
from node.job_rows import utc_now
from node.service import Node
from node.web.access import COOKIE
from node.web.accounts import HASHER, AccountStore
from node.web.attempts import FREE_FOR_A_NAME, FREE_FOR_AN_ADDRESS, Attempts
from node.web.deeds import Act, DeedStore
from node.web.errors import AccountError
from node.web.pages_login import NOBODY
from node.web.rendering import STATIC
from node.web.roles import Role
from node.web.sessions import Lifetimes, SessionStore
from tests.node.web.conftest import PASSWORD, Browser


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> AccountStore:
    store = AccountStore(engine, clock)
    store.add("ada", PASSWORD, Role.OPERATOR)
    return store


@pytest.fixture
def sessions(engine: Engine, clock: Clock) -> SessionStore:
    lifetimes = Lifetimes(timedelta(minutes=30), timedelta(hours=12))
    return SessionStore(engine, clock, lambda: lifetimes)


def test_password_is_kept_as_an_argon2id_hash_only(accounts: AccountStore, engine: Engine) -> None:
    with engine.connect() as connection:
        (kept,) = connection.exec_driver_sql("SELECT password_hash FROM accounts").scalars()

    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


def test_hash_costs_as_many_passes_and_as_much_memory_as_it_must() -> None:
    assert HASHER.hash(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong password"), ("eve", PASSWORD), ("a\0", "x"), ("", "")]
)
def test_wrong_name_or_password_is_nobody(accounts: AccountStore, name: str, password: str) -> None:
    assert accounts.verified(name, password) is None


def test_many_wrong_passwords_bar_the_address_for_a_while_and_no_other(clock: Clock) -> None:
    attempts = Attempts(clock)
    assert all(attempts.begin("ada", "192.0.2.1") for _ in range(FREE_FOR_A_NAME + 1))

    assert not attempts.begin("ada", "192.0.2.1")
    assert attempts.begin("ada", "192.0.2.2")
    clock.now += timedelta(seconds=3)
    assert attempts.begin("ada", "192.0.2.1")
    attempts.succeeded("ada", "192.0.2.1")
    assert all(attempts.begin("ada", "192.0.2.1") for _ in range(FREE_FOR_A_NAME + 1))


def test_address_that_tries_many_names_is_barred_too(clock: Clock) -> None:
    attempts = Attempts(clock)

    begun = [attempts.begin(f"name-{number}", "192.0.2.1") for number in range(2 * FREE_FOR_AN_ADDRESS)]

    assert sum(begun) == FREE_FOR_AN_ADDRESS + 1


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "ä"])
def test_account_with_a_strange_name_is_not_made(accounts: AccountStore, name: str) -> None:
    with pytest.raises(AccountError, match="a name has"):
        accounts.add(name, PASSWORD, Role.VIEWER)


def test_account_is_made_once_and_with_a_long_password(accounts: AccountStore) -> None:
    with pytest.raises(AccountError, match="already"):
        accounts.add("ada", PASSWORD, Role.VIEWER)
    with pytest.raises(AccountError, match="12 to 256"):
        accounts.add("eve", "short", Role.VIEWER)


def test_session_ends_when_nobody_is_there(
    accounts: AccountStore, sessions: SessionStore, clock: Clock
) -> None:
    secret = sessions.begin("ada")
    for _ in range(3):
        clock.now += timedelta(minutes=29)
        found = sessions.visitor(secret)
        assert found is not None
        assert (found.name, found.role) == ("ada", Role.OPERATOR)

    clock.now += timedelta(minutes=31)

    assert sessions.visitor(secret) is None


def test_page_that_refreshes_itself_keeps_no_session_alive(
    accounts: AccountStore, sessions: SessionStore, clock: Clock
) -> None:
    secret = sessions.begin("ada")
    for _ in range(2):
        clock.now += timedelta(minutes=14)
        assert sessions.visitor(secret, is_seen=False) is not None

    clock.now += timedelta(minutes=3)

    assert sessions.visitor(secret, is_seen=False) is None


def test_session_ends_in_any_case(accounts: AccountStore, sessions: SessionStore, clock: Clock) -> None:
    secret = sessions.begin("ada")
    for _ in range(25):
        clock.now += timedelta(minutes=28)
        assert sessions.visitor(secret) is not None

    clock.now += timedelta(minutes=28)

    assert sessions.visitor(secret) is None


def test_token_is_no_cookie_and_a_cookie_no_token(accounts: AccountStore, sessions: SessionStore) -> None:
    secret, token = sessions.begin("ada"), sessions.make_token("ada", timedelta(days=1))

    assert sessions.owner_of_token(token) is not None
    assert sessions.visitor(token) is None
    assert sessions.owner_of_token(secret) is None


def test_another_password_or_role_ends_sessions_and_tokens(
    accounts: AccountStore, sessions: SessionStore
) -> None:
    secret, token = sessions.begin("ada"), sessions.make_token("ada", timedelta(days=1))
    accounts.set_role("ada", Role.VIEWER)
    assert sessions.visitor(secret) is None
    assert sessions.owner_of_token(token) is None

    secret = sessions.begin("ada")
    accounts.set_password("ada", "another password")
    assert sessions.visitor(secret) is None
    accounts.remove("ada")
    assert accounts.all() == ()


def test_stranger_is_led_to_the_login_and_back(stranger: Browser) -> None:
    answer = stranger.get("/status?q=1.2.3")

    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fstatus%3Fq%3D1.2.3")
    done = stranger.post("/login", data={"name": "viewer", "password": PASSWORD, "next": "/status?q=1.2.3"})
    assert done.headers["location"] == "/status?q=1.2.3"


@pytest.mark.parametrize("after", ["//evil.example", "/\\evil.example", "https://evil.example", "x", "/a\nb"])
def test_login_leads_nowhere_else(stranger: Browser, after: str) -> None:
    done = stranger.post("/login", data={"name": "viewer", "password": PASSWORD, "next": after})

    assert done.headers["location"] == "/"


def test_stranger_gets_nothing_from_the_api(stranger: Browser) -> None:
    answer = stranger.get("/api/v1/status")

    assert (answer.status_code, answer.json()) == (401, {"error": "log in first"})


def test_cookie_is_for_the_server_only(stranger: Browser) -> None:
    cookie = stranger.log_in("viewer").headers["set-cookie"]

    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_cookie_goes_over_tls_only_where_a_proxy_says_so(stranger: Browser) -> None:
    stranger.headers["X-Forwarded-Proto"] = "https"

    assert "Secure" in stranger.log_in("viewer").headers["set-cookie"]


def test_wrong_password_is_told_and_written_down(stranger: Browser, node: Node) -> None:
    assert 'name="name" value=""' in stranger.get("/login").text
    for name in ("viewer", "typed instead: correct horse"):
        answer = stranger.log_in(name, "wrong password")

        assert answer.status_code == 401
        assert "name or password is wrong" in answer.text
        assert f'name="name" value="{name}"' in answer.text
        assert "wrong password" not in answer.text
    deeds = DeedStore(node.engine, utc_now).latest(2)
    assert {(deed.who, deed.what, deed.address) for deed in deeds} == {
        ("viewer", Act.FAIL_TO_LOG_IN, "127.0.0.1"),
        (NOBODY, Act.FAIL_TO_LOG_IN, "127.0.0.1"),
    }


def test_barred_account_and_unknown_name_are_answered_alike(stranger: Browser) -> None:
    answers = [stranger.log_in("viewer", "wrong password") for _ in range(FREE_FOR_A_NAME + 2)]
    answers.append(stranger.log_in("nobody", "wrong password"))

    assert {answer.status_code for answer in answers} == {401}
    pages = [answer.text.replace('"viewer"', '"nobody"') for answer in answers]
    assert len(set(pages)) == 1


def test_logging_in_again_ends_the_session_before(viewer: Browser) -> None:
    before = viewer.cookies[COOKIE]
    viewer.log_in("viewer")
    assert viewer.cookies[COOKIE] != before

    viewer.cookies.clear()
    viewer.cookies.set(COOKIE, before)

    assert viewer.get("/").status_code == 303


def test_other_machine_without_tls_is_refused_but_for_health(stranger: Browser) -> None:
    stranger.headers["X-Forwarded-For"] = "192.0.2.7"

    assert stranger.get("/login").status_code == 403
    assert stranger.get("/livez").status_code == 200
    stranger.headers["X-Forwarded-Proto"] = "https"
    assert stranger.get("/login").status_code == 200


def test_proxy_that_nobody_named_is_not_believed(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    settings_file.write_text(settings_file.read_text().replace('trusted_proxies = ["127.0.0.1"]', ""))
    node = build_node(load_settings(settings_file), segmenter=StandInSegmenter())
    node.start()
    try:
        assert node.web is not None
        headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
        url = f"http://127.0.0.1:{node.web.port}/login"
        answer = httpx.post(url, data={"name": "viewer"}, headers=headers, trust_env=False, timeout=60)
    finally:
        node.stop()
    assert answer.status_code == 401
    engine = engine_for("", settings_file.parent / "data")
    assert DeedStore(engine, utc_now).latest(1)[0].address == "127.0.0.1"
    engine.dispose()


@pytest.mark.parametrize("origin", ["http://[", "null", "https://evil.example"])
def test_strange_origin_is_refused(stranger: Browser, origin: str) -> None:
    assert stranger.post("/login", data={"name": "x"}, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "idna"])
def test_form_in_another_charset_is_refused(stranger: Browser, charset: str) -> None:
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    body = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\\x\r\n--x--\r\n'

    assert stranger.post("/login", content=body, headers={"Content-Type": kind}).status_code == 415


def test_logging_out_ends_the_session(viewer: Browser) -> None:
    secret = viewer.cookies[COOKIE]
    assert viewer.submit("/logout").headers["location"] == "/login"

    viewer.cookies.set(COOKIE, secret)

    assert viewer.get("/").status_code == 303


def test_form_without_the_token_of_the_session_does_nothing(viewer: Browser) -> None:
    for fields in ({}, {"csrf": ""}, {"csrf": "x" * 43}):
        assert viewer.post("/logout", data=fields).status_code == 403

    assert viewer.get("/").status_code == 200


def test_form_of_another_site_does_nothing(viewer: Browser) -> None:
    csrf = viewer.csrf

    answer = viewer.post("/logout", data={"csrf": csrf}, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert viewer.get("/").status_code == 200


def test_program_shows_its_token(stranger: Browser, node: Node) -> None:
    lifetimes = Lifetimes(timedelta(1), timedelta(1))
    token = SessionStore(node.engine, utc_now, lambda: lifetimes).make_token("viewer", timedelta(1))

    answer = stranger.get("/api/v1/status", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 200
    assert answer.json()["troubles"] == []


def test_every_answer_tells_browsers_to_trust_nothing_else(stranger: Browser) -> None:
    for path in ("/login", "/", "/nowhere", "/static/console.css", "/api/v1/status", "/livez"):
        headers = stranger.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in headers.get("cache-control", "")) == (path != "/static/console.css")


def test_request_of_unknown_or_great_length_is_not_read(stranger: Browser) -> None:
    for header, status in (("Transfer-Encoding: chunked", "411"), ("Content-Length: 2000001", "413")):
        with socket.create_connection((stranger.base_url.host, stranger.base_url.port or 0), 30) as raw:
            raw.sendall(f"POST /login HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())

            assert raw.recv(100).split()[1].decode() == status


def test_page_escapes_what_it_shows(stranger: Browser) -> None:
    page = stranger.get("/login", params={"next": '"><script>alert(1)</script>'}).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_file_outside_the_static_folder_is_not_served(stranger: Browser) -> None:
    assert (STATIC.parent / "app.py").is_file()
    for path in ("/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert stranger.get(path).status_code == 404
