import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydicom.uid import SegmentationStorage
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.errors import SettingsError
from config.network import TlsSettings
from config.settings import Destination, ModelSettings, NodeSettings, Peer, Settings, WebDestination
from node import doctor_dicom
from node.archive import Archive
from node.cli_doctor import lines_of
from node.database import engine_for, upgrade
from node.doctor import (
    Diagnosis,
    diagnosis,
    examine_destination,
    examine_node,
    examine_peer,
    names_of,
)
from node.doctor_network import Line
from node.doctor_node import Told
from node.doctor_steps import Examination, Step, StepState, Subject, carried_out
from node.doors import HouseRules, open_doors
from node.model import STAND_IN
from node.porch import Porch
from node.refusals import Refusals
from node.tls import client_context
from tests.authority import Authority
from tests.faults.peers import BadPeer, Manner, Order
from tests.faults.proving_archive import ProvingArchive
from tests.faults.web_peers import BadWeb, WebManner, WebOrder

PASSED, FAILED, NOT_ASKED, SKIPPED = StepState


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def _destination(port: int, **more: object) -> Destination:
    values = {"name": "pacs", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port} | more
    return Destination.model_validate(values)


def _examined(port: int, **more: object) -> Examination:
    return examine_destination(Settings(), _destination(port, **more))


def _states(found: Examination) -> dict[str, StepState]:
    return {step.name: step.state for step in found.steps}


def _step(found: Examination, name: str) -> Step:
    [step] = [step for step in found.steps if step.name == name]
    return step


def test_every_step_is_tried_with_a_good_archive(tmp_path: Path) -> None:
    with ProvingArchive(tmp_path) as archive:
        found = _examined(archive.port, commitment=True, query=True)

    assert _states(found) == {
        "name resolution": PASSED, "TCP connection": PASSED, "TLS": NOT_ASKED, "association": PASSED,
        "presentation contexts": PASSED, "C-ECHO": PASSED, "storage commitment": PASSED, "query": PASSED,
    }  # fmt: skip
    assert found.passed
    taken = _step(found, "presentation contexts").words
    assert "takes Segmentation Storage in" in taken
    assert "takes Comprehensive 3D SR Storage in" in taken


def test_nothing_is_stored_by_looking(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        _examined(archive.port)

    assert archive.arrivals == ()


def test_what_needs_a_connection_is_skipped_where_nobody_listens(free_port: int) -> None:
    found = _examined(free_port)

    assert not found.passed
    connection = _step(found, "TCP connection")
    assert (connection.state, "Connection refused" in connection.words) == (FAILED, True)
    assert "is the port in the settings right" in connection.advice
    later = list(_states(found).values())[2:]
    assert set(later) == {SKIPPED}
    assert _step(found, "C-ECHO").words == "needs the step 'TCP connection'"


def test_a_name_that_nobody_knows_fails_first() -> None:
    found = _examined(104, host="no-such-host.invalid")

    assert found.steps[0].state is FAILED
    assert "no-such-host.invalid has no address" in found.steps[0].words


def test_an_unknown_ae_title_is_told_to_be_added(tmp_path: Path) -> None:
    with BadPeer(tmp_path, Order(Manner.REJECT_PERMANENT)) as peer:
        found = _examined(peer.port)

    step = _step(found, "association")
    assert "Calling AE title not recognised" in step.words
    assert "add our AE title, PAXNODE" in step.advice
    assert _step(found, "C-ECHO").state is SKIPPED


def test_a_refused_class_fails_and_the_echo_is_tried_all_the_same(tmp_path: Path) -> None:
    contexts = [build_context(Verification), build_context(SegmentationStorage)]
    with Archive(tmp_path, contexts=contexts) as archive:
        found = _examined(archive.port)

    assert _step(found, "presentation contexts").state is FAILED
    assert _step(found, "presentation contexts").words.startswith(
        "takes no Comprehensive 3D SR Storage, which"
    )
    assert _step(found, "C-ECHO").state is PASSED


def test_services_that_prove_deliveries_are_named_with_their_setting(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        found = _examined(archive.port, commitment=True, query=True)

    assert "commitment = true: nothing sent there" in _step(found, "storage commitment").words
    assert "set query = false" in _step(found, "query").advice


def test_a_certificate_is_told_with_who_signed_it_and_its_days(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    good, few = authority.identity("good", 90), authority.identity("few", 9)

    steps = [_handshaken(each.settings(authority), authority) for each in (good, few)]

    assert [step.state for step in steps] == [PASSED, PASSED]
    assert "TLS 1.3" in steps[0].words.replace("TLSv", "TLS ") or "TLS 1.2" in steps[0].words
    assert "its certificate is signed by 'authority', good for 90 days" in steps[0].words
    assert (steps[0].advice, steps[1].advice) == ("", "the peer's admin needs a new certificate")


def test_an_untrusted_certificate_is_told_with_who_signed_it(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs", "Other CA")

    step = _handshaken(theirs.identity("pacs", 90).settings(theirs), ours)

    assert step.state is FAILED
    assert "is signed by an authority that is not among the trusted ones" in step.words
    assert "it is signed by 'Other CA', good for 90 days" in step.advice


def _handshaken(server: TlsSettings, trusted: Authority) -> Step:
    """Shake hands with a listener that has these settings, trusting an authority."""
    settings = server.model_copy(update={"only": True, "client_certificates": "none"})
    _plain, door = open_doors(NodeSettings(host="127.0.0.1", port=0), settings)
    assert door is not None
    porch = Porch([door], HouseRules(), lambda _arrival: None, Refusals())
    porch.start()
    try:
        trust = TlsSettings(authorities=str(trusted.file))
        line = Line("127.0.0.1", door.port, "PACS", 10.0, lambda: client_context(trust))
        return carried_out(line.tasks())[2]
    finally:
        porch.stop()


def _web(peer: BadWeb, **more: object) -> WebDestination:
    return WebDestination.model_validate({"name": "web", "url": peer.url, "query": True} | more)


def test_web_destination_is_asked_without_storing() -> None:
    with BadWeb() as peer:
        found = examine_destination(Settings(), _web(peer))

    assert found.subject is Subject.WEB_DESTINATION
    assert _states(found) == {
        "name resolution": PASSED, "TCP connection": PASSED, "TLS": NOT_ASKED, "HTTP": PASSED,
        "authentication": PASSED, "STOW-RS": PASSED, "query": PASSED,
    }  # fmt: skip
    assert peer.kept == []


@pytest.mark.parametrize(
    ("status", "step", "words"),
    [(401, "authentication", "the credentials are missing or wrong (HTTP 401)"),
     (404, "STOW-RS", "there is no STOW-RS at this url (HTTP 404)"),
     (302, "HTTP", "it has moved"), (503, "HTTP", "it is out of service (HTTP 503)")],
)  # fmt: skip
def test_status_of_a_web_destination_fails_the_step_that_it_belongs_to(
    status: int, step: str, words: str
) -> None:
    with BadWeb(WebOrder(WebManner.HTTP, status)) as peer:
        found = examine_destination(
            Settings(), _web(peer, query=False, user="u", password=SecretStr("s3cret"))
        )

    assert _step(found, step).state is FAILED
    assert words in _step(found, step).words
    assert "s3cret" not in str(found)


def test_web_destination_that_speaks_no_http_is_told() -> None:
    with BadWeb(WebOrder(WebManner.NONSENSE)) as peer:
        found = examine_destination(Settings(), _web(peer))

    assert [step.state for step in found.steps if step.name in {"HTTP", "STOW-RS"}].count(FAILED) == 1


def test_a_peer_is_sent_nothing_and_asked_for_the_echo(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        peer = Peer(ae_title="CR1", host="127.0.0.1", port=archive.port)
        found = examine_peer(Settings(), peer)
        told = examine_peer(Settings.model_validate({"commitment": {"answer": True}}), peer)

    assert found.passed
    assert _step(found, "presentation contexts").state is NOT_ASKED
    assert _step(told, "storage commitment").state is FAILED  # an archive hears no answers of ours


def _settings(folder: Path, **tables: object) -> Settings:
    node = NodeSettings(host="127.0.0.1", port=0, data_dir=folder / "data", disk_reserve_mb=0)
    return Settings.model_validate({"node": node, "model": ModelSettings(bundle=STAND_IN), **tables})


def test_this_node_is_looked_at_and_nothing_is_made(tmp_path: Path) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text("")
    found = examine_node(_settings(tmp_path), Told(settings, "7"))

    assert found.passed, found
    assert "mine.toml, version 7, sha256 e3b0c44298fc" in _step(found, "settings").words
    assert "s for the sample radiograph with no network" in _step(found, "model speed").words
    assert _step(found, "database writing").state is NOT_ASKED
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_a_queue_is_looked_at_without_changing_it(database_url: str, tmp_path: Path) -> None:
    engine = engine_for(database_url, tmp_path)
    upgrade(engine)
    engine.dispose()
    found = examine_node(_settings(tmp_path, database={"url": database_url}))

    assert _step(found, "database writing").words == "takes transactions that write"
    assert _step(found, "database clock").state is PASSED
    assert "it goes evenly" in _step(found, "clock").words


def test_a_disk_below_its_reserve_fails_with_what_follows(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    node = settings.node.model_copy(update={"disk_reserve_mb": 10**12})
    found = examine_node(settings.model_copy(update={"node": node}))

    assert _step(found, "watermarks").state is FAILED
    assert "senders are told to come again later" in _step(found, "watermarks").advice


def test_only_those_who_are_named_are_looked_at_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        settings = Settings(
            destination=(_destination(archive.port),),
            peer=(Peer(ae_title="CR1", host="127.0.0.1", port=archive.port),),
        )
        found = diagnosis(settings, ["pacs"])

    assert names_of(settings) == ("node", "pacs", "CR1")
    assert [each.name for each in found.examinations] == ["pacs"]
    with pytest.raises(SettingsError, match="there is no destination and no peer 'pax'; did you mean 'pacs'"):
        diagnosis(settings, ["pax"])


def test_what_is_found_can_be_read_by_programs_and_by_people(free_port: int) -> None:
    found = _examined(free_port)
    told = json.loads(Diagnosis((found,)).as_json())
    lines = [line.plain for line in lines_of(found)]

    assert told["passed"] is False
    assert told["examinations"][0]["steps"][1]["state"] == "failed"
    assert lines[0] == f"destination pacs (ARCHIVE at 127.0.0.1:{free_port})"
    assert any(re.match(r"  failed    TCP connection: no connection to ARCHIVE", line) for line in lines)
    assert any(line.startswith("            → nothing listens there") for line in lines)


def test_steps_have_a_limit_on_their_time(tmp_path: Path) -> None:
    with BadPeer(tmp_path, Order(Manner.SILENT)) as peer:
        place = _destination(peer.port)
        wanted = doctor_dicom.Wanted()
        looked = doctor_dicom.DicomExamination("PAXNODE", place, TlsSettings(), wanted, timeout_s=0.3)
        [step] = [step for step in looked.steps() if step.name == "association"]

    assert step.state is FAILED
    assert "did not answer within 0.3 s" in step.words
