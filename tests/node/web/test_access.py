"""Who gets in, how far, and how it ends."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from node.service import Node
from node.web.access import COOKIE
from node.web.accounts import FREE_FAILURES, AccountStore
from node.web.deeds import Act, DeedStore
from node.web.errors import AccountError
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


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong password"), ("eve", PASSWORD), ("a\0", "x"), ("", "")]
)
def test_wrong_name_or_password_is_nobody(accounts: AccountStore, name: str, password: str) -> None:
    assert accounts.verified(name, password) is None


def test_many_wrong_passwords_bar_the_account_for_a_while(accounts: AccountStore, clock: Clock) -> None:
    for _ in range(FREE_FAILURES + 1):
        assert accounts.verified("ada", "wrong password") is None

    with pytest.raises(AccountError, match="try again in"):
        accounts.verified("ada", PASSWORD)

    clock.now += timedelta(seconds=10)
    found = accounts.verified("ada", PASSWORD)
    assert found is not None
    assert found.role is Role.OPERATOR
    assert accounts.verified("ada", "wrong password") is None  # counted anew
    assert accounts.verified("ada", PASSWORD) is not None


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
    answer = stranger.log_in("viewer", "wrong password")

    assert answer.status_code == 401
    assert "name or password is wrong" in answer.text
    deed = DeedStore(node.engine, lambda: datetime.now(UTC)).latest(1)[0]
    assert (deed.who, deed.what, deed.address) == ("viewer", Act.FAIL_TO_LOG_IN, "127.0.0.1")


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
    token = SessionStore(node.engine, lambda: datetime.now(UTC), lambda: lifetimes).make_token(
        "viewer", timedelta(1)
    )

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
    for header, status in (("Transfer-Encoding: chunked", "411"), ("Content-Length: 1000001", "413")):
        with socket.create_connection((stranger.base_url.host, stranger.base_url.port or 0), 30) as raw:
            raw.sendall(f"POST /login HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())

            assert raw.recv(100).split()[1].decode() == status


def test_page_escapes_what_it_shows(stranger: Browser) -> None:
    page = stranger.get("/login", params={"next": '"><script>alert(1)</script>'}).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_file_outside_the_static_folder_is_not_served(stranger: Browser, tmp_path: Path) -> None:
    for path in ("/static/../web/app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"):
        assert stranger.get(path).status_code == 404
