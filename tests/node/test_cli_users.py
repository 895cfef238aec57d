import os
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.settings import load_settings
from node.cli_users import users
from node.database import engine_for
from node.job_rows import utc_now
from node.web.accounts import AccountStore
from node.web.errors import AccountError
from node.web.roles import Role
from node.web.sessions import Lifetimes, SessionStore

PASSWORD = "correct horse battery"
NOBODY = 65534


def run(settings_file: Path, *words: str, typed: str = "") -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        users, [*words, "--config", str(settings_file)], input=typed
    )


@pytest.fixture
def with_ada(settings_file: Path) -> AccountStore:
    """The accounts of a node that has never run, with one that was made at the command line."""
    words = ("add", "ada", "--role", "operator", "--password-stdin")
    assert run(settings_file, *words, typed=f"{PASSWORD}\n").exit_code == 0
    return AccountStore(engine_for("", load_settings(settings_file).node.data_dir), utc_now)


def test_account_is_made_before_the_first_start_and_the_password_is_not_shown(
    settings_file: Path, with_ada: AccountStore
) -> None:
    found = with_ada.verified("ada", PASSWORD)

    assert found is not None
    assert found.role is Role.OPERATOR
    assert run(settings_file, "list").output.startswith("ada\toperator\t")


def test_queue_that_root_makes_belongs_to_the_owner_of_the_data_folder(settings_file: Path) -> None:
    """Whoever is not root keeps what it makes."""
    data = load_settings(settings_file).node.data_dir
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    owner = data.stat().st_uid

    assert run(settings_file, "add", "ada", "--password-stdin", typed=f"{PASSWORD}\n").exit_code == 0

    assert {path.stat().st_uid for path in data.glob("paxnode.sqlite*")} == {owner}
    assert owner == (NOBODY if os.geteuid() == 0 else os.getuid())


def test_password_comes_from_standard_input_where_that_is_asked_for(
    settings_file: Path, with_ada: AccountStore
) -> None:
    done = run(settings_file, "password", "ada", "--password-stdin", typed="another password\n")

    assert done.exit_code == 0
    assert with_ada.verified("ada", "another password") is not None
    assert with_ada.verified("ada", PASSWORD) is None


def test_password_is_not_asked_for_where_there_is_no_terminal(settings_file: Path) -> None:
    done = run(settings_file, "add", "eve", typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert isinstance(done.exception, AccountError)
    assert "--password-stdin" in str(done.exception)
    assert run(settings_file, "list").output == ""


def test_role_changes_and_an_account_goes(settings_file: Path, with_ada: AccountStore) -> None:
    assert run(settings_file, "role", "ada", "viewer").exit_code == 0
    assert [account.role for account in with_ada.all()] == [Role.VIEWER]

    assert run(settings_file, "remove", "ada").exit_code == 0
    assert with_ada.all() == ()


def test_tokens_are_listed_without_themselves_and_revoked_one_by_one(
    settings_file: Path, with_ada: AccountStore
) -> None:
    first, second = (run(settings_file, "token", "ada").output.strip() for _ in range(2))
    engine = engine_for("", load_settings(settings_file).node.data_dir)
    day = timedelta(days=1)
    sessions = SessionStore(engine, utc_now, lambda: Lifetimes(day, day))
    assert sessions.owner_of_token(second) is not None

    listed = run(settings_file, "tokens").output
    rows = [line.split("\t") for line in listed.splitlines()]
    assert [row[1:3] for row in rows] == [["ada", "operator"]] * 2
    assert [row[4] == "never" for row in rows] == [True, False]
    assert first not in listed
    assert second not in listed

    assert f"the token {rows[0][0]} of ada is revoked" in run(settings_file, "revoke", rows[0][0]).output
    assert sessions.owner_of_token(first) is None
    assert sessions.owner_of_token(second) is not None
    assert [line.split("\t")[0] for line in run(settings_file, "tokens").output.splitlines()] == [rows[1][0]]
    for wrong in (rows[0][0], rows[1][0][:4], "%"):
        done = run(settings_file, "revoke", wrong)
        assert isinstance(done.exception, AccountError)
    assert sessions.owner_of_token(second) is not None


def test_token_is_made_for_an_account_only(settings_file: Path, with_ada: AccountStore) -> None:
    assert len(run(settings_file, "token", "ada").output.strip()) > 40
    for words in (("token", "eve"), ("remove", "eve"), ("role", "eve", "viewer")):
        done = run(settings_file, *words)
        assert isinstance(done.exception, AccountError)
        assert str(done.exception) == "there is no account 'eve'"
