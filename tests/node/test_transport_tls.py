"""C-STORE over TLS; a handshake that fails is told in words."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.network import TlsSettings
from config.settings import Destination
from node.check_peers import check_destination
from node.outcome import Outcome, Verdict
from node.transport import DimseTransport, Outgoing
from tests.faults.authority import Authority

pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@contextmanager
def _server(certificate: tuple[Path, Path], clients: Path | None = None) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    ae = AE("ARCHIVE")
    ae.add_supported_context(SegmentationStorage)
    ae.add_supported_context(Verification)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, lambda _event: 0x0000)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=context)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        ae.shutdown()


@pytest.fixture
def outgoing(tmp_path: Path) -> Outgoing:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, generate_uid()
    dataset.add_new(0x7FE00010, "OB", bytes(1_500_000))  # more than one write
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    return Outgoing(dataset.SOPInstanceUID, tmp_path / "a.dcm")


def _at(port: int) -> Destination:
    return Destination(name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=port, tls=True, timeout_s=5)


def _sent(port: int, outgoing: Outgoing, tls: TlsSettings) -> Outcome:
    [outcome] = DimseTransport("PAXNODE", tls).send(_at(port), [outgoing])
    return outcome


def _trusting(authority: Authority, own: tuple[Path, Path] | None = None) -> TlsSettings:
    certificate, key = map(str, own or ("", ""))
    return TlsSettings(authorities=str(authority.path), certificate=certificate, key=key)


def test_object_is_stored_over_tls_and_we_show_our_certificate(tmp_path: Path, outgoing: Outgoing) -> None:
    authority = Authority(tmp_path)
    settings = _trusting(authority, authority.issue("node"))
    with _server(authority.issue("pacs"), authority.path) as port:
        outcome = _sent(port, outgoing, settings)
        checked = check_destination("PAXNODE", _at(port), settings, [SegmentationStorage])
    assert outcome.verdict is Verdict.STORED, outcome.reason
    assert checked.passed, checked.words
    assert "takes Segmentation Storage in Explicit VR Little Endian" in checked.words


FAULTS = {
    "expired": ({"days": -1}, "has expired"),
    "other name": ({"address": "192.0.2.1"}, "is for another name"),
    "other authority": ({}, "is signed by an authority that is not among the trusted ones"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_the_peers_certificate_is_told(tmp_path: Path, outgoing: Outgoing, fault: str) -> None:
    authority = Authority(tmp_path)
    signer = Authority(tmp_path, "other") if fault == "other authority" else authority
    how, words = FAULTS[fault]
    with _server(signer.issue("pacs", **how)) as port:  # type: ignore[arg-type]
        outcome = _sent(port, outgoing, _trusting(authority))
        checked = check_destination("PAXNODE", _at(port), _trusting(authority))
    assert outcome.verdict is Verdict.UNSENT
    assert outcome.reason == checked.words
    assert f"the certificate of ARCHIVE at 127.0.0.1:{port} {words}" in outcome.reason


def test_peer_that_asks_for_a_certificate_that_we_have_not_is_told(
    tmp_path: Path, outgoing: Outgoing
) -> None:
    authority = Authority(tmp_path)
    with _server(authority.issue("pacs"), authority.path) as port:
        outcome = _sent(port, outgoing, _trusting(authority))
    assert outcome.verdict is Verdict.UNSENT
    assert "asks for a certificate of ours, and [tls] names none" in outcome.reason


def test_peer_without_tls_is_told(tmp_path: Path, outgoing: Outgoing) -> None:
    ae = AE("ARCHIVE")
    ae.add_supported_context(SegmentationStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    outcome = _sent(server.server_address[1], outgoing, _trusting(Authority(tmp_path)))
    ae.shutdown()
    assert outcome.verdict is Verdict.UNSENT
    assert "TLS" in outcome.reason


def test_peer_that_is_silent_in_the_handshake_is_given_up_in_time(tmp_path: Path, outgoing: Outgoing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = _trusting(Authority(tmp_path))
        place = _at(silent.getsockname()[1]).model_copy(update={"timeout_s": 0.5})
        [outcome] = DimseTransport("PAXNODE", settings).send(place, [outgoing])
    assert outcome.verdict is Verdict.UNSENT
    assert "does not answer the TLS handshake" in outcome.reason


def test_missing_authorities_are_a_matter_of_configuration(tmp_path: Path, outgoing: Outgoing) -> None:
    outcome = _sent(1, outgoing, TlsSettings(authorities=str(tmp_path / "none.pem")))
    assert outcome.verdict is Verdict.BARRED
    assert "none.pem cannot be read" in outcome.reason
