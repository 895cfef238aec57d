"""Image, playground and units agree with each other, with the program and with the documentation."""

import json
import re
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from config.settings import Settings, load_settings
from node.cli import application
from node.part import Part

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
UNITS = ("paxnode.service", "paxnode@.service")
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?[a-z0-9.-]*")
"""An image with a version; "latest" and "17" may be another one tomorrow."""


def instructions(name: str) -> list[str]:
    """Return what stands behind each instruction of the Dockerfile with that name."""
    return re.findall(rf"^ *{name} (.*)$", DOCKERFILE, re.MULTILINE)


def unit(name: str) -> dict[str, list[str]]:
    """Return the keys of a unit's service, each with its values in order."""
    text = (DEPLOY / name).read_text(encoding="utf-8").split("[Service]")[1].split("[Install]")[0]
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def playground(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of the playground's node, as its container reads them."""
    for name, value in SERVICES["node"]["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    return load_settings(DEPLOY / "node.toml")


def test_every_stage_of_the_image_has_a_base_that_is_pinned_or_a_stage() -> None:
    [base] = [value.removeprefix("BASE=") for value in instructions("ARG")]
    stages = [value.partition(" AS ") for value in instructions("FROM")]
    names = {name for _, _, name in stages}

    assert PINNED.fullmatch(base)
    assert {source for source, _, _ in stages} - names == {"${BASE}"}


def test_image_that_is_built_without_a_target_is_the_one_for_the_processor() -> None:
    assert instructions("FROM")[-1].endswith(" AS cpu")


def test_image_runs_as_nobody_in_particular() -> None:
    [user] = instructions("USER")

    assert int(user.split(":")[0]) >= 10_000


def test_image_starts_programs_that_the_package_has() -> None:
    [check] = [words.partition(" CMD ")[2] for words in instructions("HEALTHCHECK")]
    [entry] = instructions("ENTRYPOINT")

    assert {json.loads(words)[0] for words in (check, entry)} <= set(PROJECT["scripts"])


def test_image_tells_the_version_of_the_package() -> None:
    assert f'image.version="{PROJECT["version"]}"' in instructions("LABEL")[0]
    assert SERVICES["node"]["image"] == f"paxnode:{PROJECT['version']}"


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    sources = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert not [source for source in sources if not (ROOT / source).exists()]
    assert {f"!{source.split('/')[0]}" for source in sources} <= set(ignored)


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_a_pinned_image(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_service_mounts_what_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source, place, *mode = volume.split(":")

        assert place.startswith("/")
        if source.startswith("./"):
            assert (ROOT / source).is_file()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_reached_from_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["node", "nginx"])
def test_service_of_ours_may_do_nothing(name: str) -> None:
    service = SERVICES[name]

    assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])


def test_node_of_the_playground_and_its_orthanc_know_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = playground(monkeypatch)
    orthanc = json.loads((DEPLOY / "orthanc.json").read_text(encoding="utf-8"))
    [destination] = settings.destinations

    assert orthanc["DicomModalities"]["paxnode"] == {
        "AET": settings.node.ae_title,
        "Host": "node",
        "Port": settings.node.port,
    }
    assert {"node", "orthanc", "database"} <= set(SERVICES)
    assert destination.model_dump(include={"ae_title", "host", "port"}) == {
        "ae_title": orthanc["DicomAet"],
        "host": "orthanc",
        "port": orthanc["DicomPort"],
    }
    assert settings.node.calling_ae_titles == (orthanc["DicomAet"],)
    assert settings.database.url.get_secret_value().endswith("@database/paxnode")


def test_proxy_of_the_playground_reaches_what_orthanc_and_the_viewer_serve() -> None:
    orthanc = json.loads((DEPLOY / "orthanc.json").read_text(encoding="utf-8"))
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    viewer = (DEPLOY / "ohif-config.js").read_text(encoding="utf-8")
    root = orthanc["DicomWeb"]["Root"]

    assert f"location {root} {{\n            proxy_pass http://orthanc:{orthanc['HttpPort']};" in nginx
    assert viewer.count(f"Root: '{root.rstrip('/')}'") == 3
    assert SERVICES["nginx"]["ports"] == [f"127.0.0.1:3000:{re.findall('listen ([0-9]+);', nginx)[0]}"]


@pytest.mark.parametrize("name", UNITS)
def test_unit_starts_a_command_of_the_program(name: str) -> None:
    [start] = unit(name)["ExecStart"]
    program, command, *options = start.split()
    known = typer.main.get_command(application()).commands[command]  # type: ignore[attr-defined]

    assert Path(program).name in PROJECT["scripts"]
    assert {option for option in options if option.startswith("-")} <= {
        word for parameter in known.params for word in parameter.opts
    }


def test_units_differ_only_in_the_part_that_they_do() -> None:
    one, each = (unit(name) for name in UNITS)
    part = " --only %i"

    assert each.pop("ExecStart") == [one.pop("ExecStart")[0] + part]
    assert each.pop("EnvironmentFile") == [*one.pop("EnvironmentFile"), "-/etc/paxnode/%i.env"]
    assert one == each


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_read_as_a_unit(name: str) -> None:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / name)

    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Service"]["User"] != "root"
    assert parser["Service"]["ProtectSystem"] == "strict"


def test_page_installs_the_units_that_are_shipped_and_has_none_of_its_own() -> None:
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")

    assert all(f"install -m 644 deploy/{name} /etc/systemd/system/" in page for name in UNITS)
    assert "ExecStart" not in page
    assert {f"paxnode@{part}" for part in Part} <= set(re.findall(r"paxnode@[a-z]+", page))
