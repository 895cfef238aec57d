"""`paxnode users`: who may log in to the console, and tokens for programs."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Engine

from config.settings import Settings, load_settings
from node.cli_jobs import MOMENT, print_rows
from node.clock import clock_for
from node.database import engine_for, upgrade
from node.engines import give_to_owner
from node.web.accounts import AccountStore
from node.web.errors import AccountError
from node.web.roles import Role
from node.web.sessions import Lifetimes, SessionStore

users = typer.Typer(help="Accounts for the console and its API.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the account.")]
RoleOption = Annotated[
    Role, typer.Option(help="viewer: sees; operator: sends and runs again; admin: changes settings.")
]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]


@users.command("add")
def add(
    name: NameArgument,
    role: RoleOption = Role.VIEWER,
    stdin: StdinOption = False,
    config: ConfigOption = None,
) -> None:
    """Make an account; the password is asked for."""
    store = AccountStore(*_database(load_settings(config)))
    store.add(name, _password(from_stdin=stdin), role)
    _say(f"{name} may log in as {role}")


@users.command("list")
def list_users(config: ConfigOption = None) -> None:
    """List the accounts."""
    accounts = AccountStore(*_database(load_settings(config))).all()
    print_rows(
        ("name", "role", "made (UTC)"),
        [(each.name, each.role.value, each.created_at.strftime(MOMENT)) for each in accounts],
    )


@users.command("password")
def password(name: NameArgument, stdin: StdinOption = False, config: ConfigOption = None) -> None:
    """Give an account another password; its sessions and tokens end."""
    AccountStore(*_database(load_settings(config))).set_password(name, _password(from_stdin=stdin))
    _say(f"{name} has another password")


@users.command("role")
def role(
    name: NameArgument,
    wanted: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    config: ConfigOption = None,
) -> None:
    """Give an account another role; its sessions and tokens end."""
    AccountStore(*_database(load_settings(config))).set_role(name, wanted)
    _say(f"{name} is {wanted} now")


@users.command("remove")
def remove(name: NameArgument, config: ConfigOption = None) -> None:
    """Remove an account; what it did stays in the audit."""
    AccountStore(*_database(load_settings(config))).remove(name)
    _say(f"{name} is removed")


@users.command("token")
def token(
    name: NameArgument,
    days: Annotated[int, typer.Option(min=1, max=3650, help="For how long it is valid.")] = 90,
    config: ConfigOption = None,
) -> None:
    """Print a token with which a program acts as an account ("Authorization: Bearer …"). It is shown once."""
    engine, clock = _database(load_settings(config))
    if name not in {each.name for each in AccountStore(engine, clock).all()}:
        raise AccountError(f"there is no account {name!r}")
    typer.echo(_sessions(engine, clock).make_token(name, timedelta(days=days)))


@users.command("tokens")
def tokens(config: ConfigOption = None) -> None:
    """List the tokens of programs that are valid now: never the token itself, but the ID to revoke it by."""
    print_rows(
        ("id", "account", "role", "made (UTC)", "last used (UTC)", "valid until (UTC)"),
        [
            (
                each.id,
                each.account,
                each.role.value,
                each.made_at.strftime(MOMENT),
                "never" if each.used_at is None else each.used_at.strftime(MOMENT),
                each.ends_at.strftime(MOMENT),
            )
            for each in _sessions(*_database(load_settings(config))).tokens()
        ],
    )


@users.command("revoke")
def revoke(
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the token, as `paxnode users tokens` has it.")
    ],
    config: ConfigOption = None,
) -> None:
    """End a token at once; the account, its sessions and its other tokens stay."""
    ended = _sessions(*_database(load_settings(config))).revoke(token_id)
    _say(f"the token {ended.id} of {ended.account} is revoked")


def _database(settings: Settings) -> tuple[Engine, Callable[[], datetime]]:
    """Return the database, made if it is not there: the first account may come before the first image."""
    engine = engine_for(settings.database.url.get_secret_value(), settings.node.data_dir)
    upgrade(engine)
    give_to_owner(engine, settings.node.data_dir)
    return engine, clock_for(engine)


def _sessions(engine: Engine, clock: Callable[[], datetime]) -> SessionStore:
    """Return the sessions for what needs no lifetimes of theirs: tokens have their own."""
    return SessionStore(engine, clock, lambda: Lifetimes(timedelta(), timedelta()))


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise AccountError("there is no terminal to ask for the password: use --password-stdin")
    return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))


def _say(words: str) -> None:
    Console().print(words, markup=False, highlight=False, soft_wrap=True)
