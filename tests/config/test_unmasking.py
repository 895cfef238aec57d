"""Who edits what `masked` shows loses no secret, and learns none."""

from pathlib import Path

import pytest
import tomlkit

from config.differences import masked
from config.errors import SettingsError
from config.settings import DEFAULT_FILE
from config.unmasking import unmasked

MADE = {"build", "demo", "dist", "out", "runs", "shared", "site"}
"""Folders of what the chores make, with copies of the files that come along."""

ACTIVE = """# url = "postgresql://node:commented@db/q"
[database]
url = 'postgresql://node:canary@db/q'  # of the clinic

[[web_destination]]
name = "cloud"
url = "https://cloud.example/dicom"
user = "paxnode"
password = "canary-\\u00e9"   # password = "last year's"

[[web_destination]]
name = "research"
url = "https://research.example/dicom"
token = "token-canary"
# password = "none"

[[web_destination]]
name = "open"
url = "http://127.0.0.1:8042/dicom-web"
password = ""
"""


def _edited(*changes: tuple[str, str]) -> str:
    text = masked(ACTIVE)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return unmasked(text, ACTIVE, "node.toml")


@pytest.mark.parametrize("text", [ACTIVE, DEFAULT_FILE.read_text(), "", ACTIVE.replace("\n", "\r\n")])
def test_text_that_nobody_changed_is_as_it_was(text: str) -> None:
    assert "canary" not in masked(text)
    assert unmasked(masked(text), text, "node.toml") == text


def test_browsers_line_ends_are_not_kept() -> None:
    assert unmasked(masked(ACTIVE).replace("\n", "\r\n"), ACTIVE, "node.toml") == ACTIVE


def test_secret_stays_with_its_table_wherever_that_goes() -> None:
    head, first, second, third = masked(ACTIVE).split("[[web_destination]]")

    text = unmasked("[[web_destination]]".join((head, third, second, first)), ACTIVE, "node.toml")

    _head, *tables = text.split("[[web_destination]]")
    assert [table.strip().splitlines()[0] for table in tables] == [
        'name = "open"', 'name = "research"', 'name = "cloud"'
    ]  # fmt: skip
    assert 'token = "token-canary"' in tables[1]
    assert 'password = "canary-\\u00e9"   # password = "last year\'s"' in tables[2]


def test_secret_that_was_written_anew_counts() -> None:
    text = _edited(('user = "paxnode"\npassword = "***"', 'user = "paxnode"\npassword = "fresh"'))

    assert 'password = "fresh"' in text
    assert "canary-" not in text.replace("token-canary", "")
    assert "postgresql://node:canary@db/q" in text


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('name = "cloud"', 'name = "clouds"', "line 7: 'url' is stars, and web_destination clouds has no"),
        ('token = "***"', 'password = "***"', "line 14: 'password' is stars, and web_destination research"),
        ('password = ""', 'password = "***"', "line 20: 'password' is stars"),
        ('[database]\nurl = "***"', '[database]\nurl = "***', "is not TOML"),
        (
            'name = "research"\nurl = "***"', 'name = "research"\nurl = "https://evil.example"',
            "line 14: 'token' must be written out where 'url' is",
        ),
        ("[database]", '# token = "***"\n[database]', "line 2: the stars in this comment"),
        ('# url = "***"\n', '[audit]\nsite = """\n# url = "***"\n"""\n', "of a comment stand in a value"),
    ],
)  # fmt: skip
def test_stars_that_stand_for_nothing_are_refused(before: str, after: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        _edited((before, after))

    assert words in str(refused.value)
    assert "canary" not in str(refused.value)


def test_secrets_of_comments_that_look_the_same_are_known_by_their_order() -> None:
    active = '# token = "one"\n[node]\n# token = "two"\n'
    shown = masked(active)

    assert unmasked(shown + "port = 1\n", active, "") == active + "port = 1\n"
    with pytest.raises(SettingsError, match="line 1: the stars in this comment cannot be told from others"):
        unmasked(shown.replace("[node]\n# token", "[node]\n# no token at all"), active, "")


def test_every_settings_file_that_comes_along_is_as_it_was() -> None:
    ours = [path for path in Path().iterdir() if not path.name.startswith(".") and path.name not in MADE]
    files = [file for path in ours for file in (path.rglob("*") if path.is_dir() else [path])]
    files = [file for file in files if file.suffix == ".toml"]
    assert {"node.toml", "profiles.toml", "run.toml", "pyproject.toml"} <= {file.name for file in files}
    for path in files:
        text = path.read_bytes().decode()
        assert unmasked(masked(text), text, path.name) == text, path


@pytest.mark.parametrize("text", [f"a = {'[' * 5000}{']' * 5000}", f"a = {'9' * 5000}", "a = '\0'"])
def test_text_that_no_reader_takes_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"node\.toml: is not TOML"):
        unmasked(text, ACTIVE, "node.toml")


def test_text_that_comes_out_otherwise_than_it_was_written_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dumps = tomlkit.dumps
    shown = masked(ACTIVE)
    monkeypatch.setattr(tomlkit, "dumps", lambda document: dumps(document).replace("cloud.ex", "other.ex"))
    with pytest.raises(SettingsError, match=r"node\.toml: secrets cannot be put back into it"):
        unmasked(shown, ACTIVE, "node.toml")


def test_secret_of_a_mistyped_key_and_of_a_comment_is_put_back() -> None:
    active = '[database]\nUrl = "one"  # Password: two\n# was db://node:three@db\n'
    assert unmasked(masked(active), active, "") == active
