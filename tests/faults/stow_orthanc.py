"""Proof with a real archive: STOW-RS to Orthanc's DICOMweb plugin, and C-STORE to Orthanc over TLS.

`python -m tests.faults.stow_orthanc --size 40 --seed 1`
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from rich.console import Console

from config.network import TlsSettings
from config.settings import WebDestination
from node.check_peers import check_destination, check_web_destination
from node.outcome import Outcome, Verdict
from node.stow import StowTransport
from node.transport import DimseTransport, Outgoing
from tests.faults.authority import Authority
from tests.faults.count import Count, told
from tests.faults.parts import HOST, write_images
from tests.viewers.orthanc import Orthanc

PASSWORD = "synthetic"
BATCH = 16


class GuardedOrthanc(Orthanc):
    """Orthanc that asks for a password, and speaks DICOM over TLS only.

    Args:
        folder: For its files.
        authority: Signs its certificate and those of who may connect.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder)
        self._authority = authority
        self.destination = self.destination.model_copy(update={"tls": True})
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, f"http://{HOST}:{self.http_port}/", "node", PASSWORD)
        handler = urllib.request.HTTPBasicAuthHandler(passwords)
        urllib.request.install_opener(urllib.request.build_opener(handler))

    @property
    def web(self) -> WebDestination:
        """Where results are sent to by STOW-RS."""
        url = f"http://{HOST}:{self.http_port}/dicom-web"
        return WebDestination.model_validate(
            {"name": "orthanc", "url": url, "user": "node", "password": PASSWORD}
        )

    def digest(self, sop_instance_uid: str) -> str:
        """Return the sha256 of the file that it holds; "" if it holds none."""
        request = urllib.request.Request(self._url("/tools/lookup"), data=sop_instance_uid.encode())
        with urllib.request.urlopen(request) as answer:
            found = [item["ID"] for item in json.load(answer) if item["Type"] == "Instance"]
        if not found:
            return ""
        with urllib.request.urlopen(self._url(f"/instances/{found[0]}/file")) as answer:
            return hashlib.sha256(answer.read()).hexdigest()

    def _settings(self, plugin: Path) -> dict[str, object]:
        certificate, key = self._authority.issue("orthanc")
        return super()._settings(plugin) | {
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"node": PASSWORD},
            "OverwriteInstances": False,
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(certificate),
            "DicomTlsPrivateKey": str(key),
            "DicomTlsTrustedCertificates": str(self._authority.path),
        }


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Return what became of `size` images on each way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = Authority(folder)
        certificate, key = authority.issue("node")
        tls = TlsSettings(certificate=str(certificate), key=str(key), authorities=str(authority.path))
        images = write_images(folder / "images", size)
        random.Random(seed).shuffle(images)
        orthanc = GuardedOrthanc(folder / "orthanc", authority)
        with orthanc:
            return [*_by_web(orthanc, images, console), *_by_tls(orthanc, images, tls, console)]


def _outgoing(images: Sequence[Path]) -> list[Outgoing]:
    return [Outgoing(str(dcmread(path).SOPInstanceUID), path) for path in images]


def _by_web(orthanc: GuardedOrthanc, images: Sequence[Path], console: Console) -> list[Count]:
    objects = _outgoing(images)
    console.print(check_web_destination(orthanc.web).words)
    wrong = orthanc.web.model_copy(update={"user": "nobody"})
    barred = [o.verdict for o in StowTransport().send(wrong, objects[:2])]
    began = time.monotonic()
    outcomes = _in_batches(objects, orthanc)
    seconds = time.monotonic() - began
    again = _in_batches(objects, orthanc)
    deflated = [Outgoing(o.sop_instance_uid, o.path, (DeflatedExplicitVRLittleEndian,)) for o in objects[:2]]
    other_form = list(StowTransport().send(orthanc.web, deflated))
    broken = images[0].parent / "broken.dcm"
    broken.write_bytes(images[0].read_bytes()[:600])
    spoiled = list(StowTransport().send(orthanc.web, [objects[0], Outgoing("1.2.3", broken), objects[1]]))
    return [
        Count.equal("STOW-RS: stored", _stored(outcomes), len(objects)),
        Count("STOW-RS: objects in a second", round(len(objects) / seconds, 1)),
        Count.equal("STOW-RS: same bytes there", _same(orthanc, objects), len(objects)),
        Count.equal("STOW-RS: sent again, counted as stored", _stored(again), len(objects)),
        Count.equal("STOW-RS: other transfer syntax, stored", _stored(other_form), len(deflated)),
        Count.equal("STOW-RS: barred for a wrong password", barred.count(Verdict.BARRED), 2),
        Count.equal("STOW-RS: stored beside a broken one", _stored(spoiled), 2),
        Count("STOW-RS: the broken one", f"{spoiled[1].verdict}: {spoiled[1].reason}"),
    ]


def _in_batches(objects: Sequence[Outgoing], orthanc: GuardedOrthanc) -> list[Outcome]:
    starts = range(0, len(objects), BATCH)
    return [o for n in starts for o in StowTransport().send(orthanc.web, objects[n : n + BATCH])]


def _by_tls(
    orthanc: GuardedOrthanc, images: Sequence[Path], tls: TlsSettings, console: Console
) -> list[Count]:
    orthanc.clear()
    objects = _outgoing(images)
    checked = check_destination("PAXNODE", orthanc.destination, tls)
    console.print(checked.words)
    transport = DimseTransport("PAXNODE", tls)
    starts = range(0, len(objects), BATCH)
    began = time.monotonic()
    sent = [o for n in starts for o in transport.send(orthanc.destination, objects[n : n + BATCH])]
    seconds = time.monotonic() - began
    plain = orthanc.destination.model_copy(update={"tls": False, "timeout_s": 3.0})
    refused = list(transport.send(plain, objects[:1]))
    nameless = TlsSettings(authorities=tls.authorities)
    unknown = list(DimseTransport("PAXNODE", nameless).send(orthanc.destination, objects[:1]))
    console.print(f"without TLS: {refused[0].reason}\nwithout a certificate: {unknown[0].reason}")
    return [
        Count("C-STORE over TLS: `paxnode check` passes", str(checked.passed), "True", checked.passed),
        Count.equal("C-STORE over TLS: stored", _stored(sent), len(objects)),
        Count("C-STORE over TLS: objects in a second", round(len(objects) / seconds, 1)),
        Count.equal("C-STORE over TLS: there", sum(bool(_digest(orthanc, o)) for o in objects), len(objects)),
        Count.none("C-STORE without TLS: stored", _stored(refused)),
        Count.none("C-STORE without a certificate of ours: stored", _stored(unknown)),
    ]


def _stored(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.verdict is Verdict.STORED for outcome in outcomes)


def _digest(orthanc: GuardedOrthanc, outgoing: Outgoing) -> str:
    return orthanc.digest(outgoing.sop_instance_uid)


def _same(orthanc: GuardedOrthanc, objects: Sequence[Outgoing]) -> int:
    return sum(
        _digest(orthanc, each) == hashlib.sha256(each.path.read_bytes()).hexdigest() for each in objects
    )


def main() -> None:
    """Run the proof; exit 1 when a count is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=40, help="images on each way")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    console = Console()
    counts = prove(chosen.size, chosen.seed, console)
    sys.exit(0 if told("Orthanc by STOW-RS and over TLS", counts, console) else 1)


if __name__ == "__main__":
    main()
