import tomllib
from pathlib import Path
from pprint import pformat
from traceback import format_exception
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from config.errors import SettingsError
from config.rules import Rule
from config.settings import DEFAULT_FILE, Destination, Settings, load_settings

PROSE = "# The same for archives that are reached by STOW-RS (PS3.18 10.5). One table each:"
WEB = "[[web_destination]]\nname = 'web'\n"
PACS = 'name = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104\n'


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAXNODE_NODE__PORT", "PAXNODE_DATABASE__URL"):
        monkeypatch.delenv(name, raising=False)


def load(folder: Path, text: str) -> Settings:
    path = folder / "my-node.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def problem(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def sections() -> dict[str, type[BaseModel]]:
    annotated = {name: field.annotation for name, field in Settings.model_fields.items()}
    found = {n: c for n, c in annotated.items() if isinstance(c, type) and issubclass(c, BaseModel)}
    return found | {"destination": Destination, "rule": Rule}


# ---- the packaged file


def test_packaged_file_holds_the_defaults() -> None:
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("section", "key"), [(name, key) for name, kind in sections().items() for key in kind.model_fields]
)
def test_setting_stands_in_the_packaged_file_below_a_comment(section: str, key: str) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    if section in {"destination", "web_destination", "peer", "rule"}:
        assert f"# {key} = " in text
        return
    assert key in tomllib.loads(text)[section]
    lines = text.splitlines()
    begin = lines.index(f"[{section}]")
    line = next(number for number, line in enumerate(lines) if number > begin and line.startswith(f"{key} ="))
    assert lines[line - 1].startswith("#")


def test_destination_in_the_packaged_comment_works(tmp_path: Path) -> None:
    lines = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()
    begin = lines.index("# [[destination]]")
    commented = [line for line in lines[begin : lines.index("[delivery]")] if line.startswith("# ")]
    block = [line.removeprefix("# ") for line in commented if line != PROSE]

    settings = load(tmp_path, "\n".join(block))

    assert [destination.name for destination in settings.destinations] == ["pacs", "web"]


def test_rule_in_the_packaged_comment_works(tmp_path: Path) -> None:
    lines = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()
    begin = lines.index("# [[rule]]")
    block = [line.removeprefix("# ") for line in lines[begin : lines.index("[commitment]")] if line]

    (rule,) = load(tmp_path, "\n".join(block)).rule

    assert (rule.name, len(rule.when)) == ("emergency-room", 2)


# ---- reading


def test_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    settings = load(tmp_path, f"[node]\nport = 104\n[[destination]]\n{PACS}")

    assert settings.node.port == 104
    assert settings.node.ae_title == "PAXNODE"
    assert settings.destinations == (Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104),)


def test_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAXNODE_NODE__PORT", "105")
    monkeypatch.setenv("PAXNODE_RESULTS__PROFILE", "ohif")
    monkeypatch.setenv("PAXNODE_NODE__CALLING_AE_TITLES", '["A", "B"]')

    settings = load(tmp_path, '[node]\nport = 104\nae_title = "FILE"')

    assert (settings.node.port, settings.node.ae_title, settings.results.profile) == (105, "FILE", "ohif")
    assert settings.node.calling_ae_titles == ("A", "B")


def test_settings_are_frozen() -> None:
    settings = load_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.node.port = 1


def test_database_url_prints_as_stars(tmp_path: Path) -> None:
    settings = load(tmp_path, '[database]\nurl = "postgresql://me:secret@host/db"')

    assert "secret" not in f"{settings!r} {settings} {settings.model_dump()}"
    assert settings.database.url.get_secret_value() == "postgresql://me:secret@host/db"


# ---- refusing, in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[node]\n\nprot = 1", "my-node.toml, line 3: unknown key 'prot' in [node]; did you mean 'port'?"),
        ("[nodes]\nport = 1", "my-node.toml, line 1: unknown section [nodes]; did you mean 'node'?"),
        (f"{WEB}url = 'https://me:pw@h/x'", "must hold no user and no password"),
        (f"{WEB}url = 'https://h/x?a=1'", "must be scheme, host and path"),
        (f"{WEB}url = 'ftp://h'", "'url' in [web_destination]"),
        (f"{WEB}url = 'https://h'\nuser = 'u'\ntoken = 't'", "only one of them"),
        (f"{WEB}url = 'https://h'\npassword = 't'", "'password' needs a 'user'"),
        (f'{WEB}url = "https://h"\ntoken = "a\\nb"', "must hold no control characters"),
        ("[zzz]", "my-node.toml, line 1: unknown section [zzz]; known are node, database, model, worker"),
        (
            f"[[destination]]\n{PACS}[[destination]]\nnam = 1",
            "my-node.toml, line 7: unknown key 'nam' in [destination]; did you mean 'name'?",
        ),
        (
            '[node]\nport = "high"',
            "my-node.toml, line 2: 'port' in [node] must be a whole number, found 'high'",
        ),
        ("[node]\nport = true", "line 2: 'port' in [node] must be a number, found true or false"),
        ("[node]\nport = 1.5", "line 2: 'port' in [node] must be a whole number, found 1.5"),
        ("[node]\nport = 65536", "line 2: 'port' in [node] must be at most 65535, found 65536"),
        ("[node]\nport = -1", "line 2: 'port' in [node] must be at least 0, found -1"),
        ("[node]\nae_title = 5", "line 2: 'ae_title' in [node] must be text in quotation marks, found 5"),
        ('[node]\nae_title = "A234567890B234567"', "must be an AE title: 1 to 16 characters"),
        ('[node]\nae_title = "A\\\\B"', "must be an AE title"),
        ('[node]\nae_title = " "', "must be an AE title"),
        ('[node]\ncalled_ae_titles = "A"', "must be a list"),
        ('[node]\ncalled_ae_titles = [\n  "A",\n  5,\n]', "my-node.toml, line 2: 'called_ae_titles'"),
        ("[results]\nprofile = 3", "line 2: 'profile' in [results] must be text in quotation marks, found 3"),
        (
            '[results]\ncontent_qualification = "X"',
            "must be 'RESEARCH', 'PRODUCT' or 'SERVICE', found 'X'",
        ),
        ('[results]\nuid_root = "1.02"', "digits and dots"),
        (
            '[results]\nprofile = "ohfi"',
            "line 2: 'profile' in [results] must name a profile, found 'ohfi'; did",
        ),
        ('[[profile]]\nname = "ohif"', "[profile] must each have a name of their own; 'ohif' is taken"),
        (
            '[[profile]]\nname = "mine"\nlike = "orthnc"',
            "found 'orthnc'; did you mean 'orthanc'?",
        ),
        (
            '[[profile]]\nname = "mine"\nstrutures = ["heart"]',
            "in [profile]; did you mean 'structures'?",
        ),
        ('[[profile]]\nname = "mine"\nstructures = []', "must name at least one structure or group"),
        (
            '[[profile]]\nname = "mine"\nseg = "bits"',
            "must be 'binary', 'labelmap', 'fractional' or 'none'",
        ),
        ('[[profile]]\nname = "mine"\nseg = "none"', 'refers to segments, and seg = "none" writes none'),
        ('[[profile]]\nname = "mine"\nseg = "labelmap"', "readers of today know none of a label map"),
        (
            '[[profile]]\nname = "mine"\nlike = "minimal"\nseg = "none"\nreport = "none"',
            "must write at least one object, this one writes none",
        ),
        (
            f'[[destination]]\n{PACS}profile = "mini"',
            "line 6: 'profile' in [destination]",
        ),
        ("[node]\nnetwork_timeout_s = 0", "'network_timeout_s' in [node] must be above 0"),
        ("[node]\nnetwork_timeout_s = nan", "'network_timeout_s' in [node]"),
        ("[delivery]\nfirst_retry_s = 700", "must be at least first_retry_s (700), found 600"),
        (
            '[appearance]\nturned = "note"\nmirrored = "correct"',
            'a mirror is corrected only where turns are, found turned = "note"',
        ),
        (f"[[destination]]\n{PACS}[[destination]]\n{PACS}", "found twice: pacs"),
        ('[[destination]]\nname = "a b"', "must consist of letters, digits, - and _, found 'a b'"),
        ('[[destination]]\nname = "a"', "line 1: 'ae_title' in [destination] is missing"),
        ("node = 3", "line 1: [node] must be a table, found 3"),
        ("[node\nport = 1", "my-node.toml: is not TOML: "),
        ("[database]\nurl = 5", "line 2: 'url' in [database] must be text in quotation marks"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_place_key_and_rule(
    tmp_path: Path, text: str, words: str
) -> None:
    assert words in problem(tmp_path, text)


def test_port_out_of_range_of_a_destination_is_found_in_its_table(tmp_path: Path) -> None:
    text = f"[[destination]]\n{PACS}[[destination]]\n{PACS.replace('104', '0').replace('pacs', 'b')}"

    assert (
        problem(tmp_path, text)
        == "my-node.toml, line 10: 'port' in [destination] must be at least 1, found 0"
    )


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "PAXNODE_NODE__PRT",
            "1",
            "variable PAXNODE_NODE__PRT: unknown key 'prt' in [node]; did you mean 'port'?",
        ),
        ("PAXNODE_NOD__PORT", "1", "variable PAXNODE_NOD__PORT: unknown section [nod]; did you mean 'node'?"),
        ("PAXNODE_PORT", "1", "variable PAXNODE_PORT: must be PAXNODE_<SECTION>__<KEY>"),
        ("PAXNODE_NODE__PORT", "x", "variable PAXNODE_NODE__PORT: 'port' in [node] must be a whole number"),
        ("PAXNODE_NODE__CALLED_AE_TITLES", "A", "must be JSON"),
    ],
)
def test_environment_that_cannot_be_used_is_refused_by_name(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert words in str(caught.value)


def test_value_of_a_secret_is_in_no_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, '[database]\nurl = ["hunter2"]')

    shown: Any = caught.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = shown.__cause__


@pytest.mark.parametrize(
    ("name", "words"), [("missing.toml", "cannot be read: No such file"), (".", "cannot be read")]
)
def test_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(tmp_path / name)


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# Gr\xfc\xdfe")

    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings(tmp_path / "latin.toml")


SECRET = "hunter2-canary"
SECRETS = f"""
[database]
url = "postgresql://me:{SECRET}@host/db"
[[web_destination]]
name = "basic"
url = "https://192.0.2.11/dicom-web"
user = "me"
password = "{SECRET}"
[[web_destination]]
name = "bearer"
url = "https://192.0.2.12/dicom-web"
token = "{SECRET}"
"""


def _secret_fields(model: type[BaseModel], place: str = "") -> list[str]:
    """Return every setting that is a secret, however deep."""
    found = []
    for name, field in model.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        if SecretStr in inner:
            found.append(f"{place}{name}")
        for each in inner:
            if isinstance(each, type) and issubclass(each, BaseModel):
                found += _secret_fields(each, f"{place}{name}.")
    return found


def test_secrets_are_these_and_each_is_in_the_tests_below() -> None:
    names = ["database.url", "web_destination.password", "web_destination.token"]

    assert sorted(_secret_fields(Settings)) == names


def test_no_secret_shows_however_settings_are_printed(tmp_path: Path) -> None:
    settings = load(tmp_path, SECRETS)
    basic, bearer = settings.web_destination

    things = (settings, settings.database, basic, bearer, settings.destinations)
    shown = [f(x) for f in (repr, str) for x in things]
    shown += [str(settings.model_dump()), settings.model_dump_json(), pformat(settings)]
    assert not [text for text in shown if SECRET in text]
    assert (basic.password.get_secret_value(), bearer.token.get_secret_value()) == (SECRET, SECRET)


@pytest.mark.parametrize(
    "line", ["objects_per_minute = -1", "no_such_key = 1", 'url = "ftp://x"', "timeout_s ="]
)
def test_no_secret_shows_in_errors_about_its_neighbours(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, f"{SECRETS}{line}\n")

    assert SECRET not in "".join(format_exception(caught.value))


@pytest.mark.parametrize("key", ["password", "token"])
@pytest.mark.parametrize("value", [f'["{SECRET}"]', f'{{ a = "{SECRET}" }}'])
def test_secret_of_a_wrong_kind_is_in_no_error(tmp_path: Path, key: str, value: str) -> None:
    content = f'[[web_destination]]\nname = "web"\nurl = "https://192.0.2.11"\n{key} = {value}\n'
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, content)

    assert SECRET not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(("rows", "fits"), [(0, True), (59, False), (60, True)])
def test_rows_are_kept_as_long_as_files(tmp_path: Path, rows: int, fits: bool) -> None:
    content = f"[retention]\nfiles_days = 30\nrefused_days = 60\nrows_days = {rows}\n"
    if fits:
        assert load(tmp_path, content).retention.rows_days == rows
        return
    with pytest.raises(SettingsError, match=r"'rows_days' must be 0, or at least .* \(60\), found 59"):
        load(tmp_path, content)


def test_secrets_of_a_url_are_not_repeated_in_the_refusal(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        load(tmp_path, f"{WEB}url = 'https://me:s3cret@h/x'")

    assert "s3cret" not in str(refusal.value)
