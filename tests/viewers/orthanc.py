"""A real Orthanc with its DICOMweb plugin, on free loopback ports, with a folder that is thrown away."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from config.settings import Destination
from node.outcome import Verdict
from node.transport import DimseTransport, Outgoing
from tests.faults.parts import HOST, free_port

AE_TITLE = "ORTHANC"
START_S = 60.0
"""The longest that Orthanc may take to answer; it needs about a second."""

DICOMWEB_PLUGIN = "libOrthancDicomWeb.so"
PLUGIN_FOLDERS = ("share/orthanc/plugins", "lib/orthanc/plugins", "lib/orthanc")
"""Below the prefix in which Orthanc is installed: Debian's, and those of builds from source."""


class NotInstalledError(Exception):
    """A program that the viewers' check needs is not on this machine."""


class Orthanc:
    """Orthanc while the `with` block lasts.

    Args:
        folder: For its database, its configuration and its log.
        more: Settings of its own, besides ours.

    Attributes:
        http_port: Of DICOMweb, below /dicom-web.
        destination: Where results are sent to, as a node would be told.
    """

    def __init__(self, folder: Path, more: Mapping[str, object] | None = None) -> None:
        self._folder = folder
        self._more = dict(more or {})
        self.http_port = free_port()
        self.destination = Destination(name="orthanc", ae_title=AE_TITLE, host=HOST, port=free_port())

    def __enter__(self) -> "Orthanc":
        program = found("Orthanc")
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "orthanc.json"
        config.write_text(json.dumps(self._settings(dicomweb_plugin(program))), encoding="utf-8")
        with (self._folder / "orthanc.log").open("wb") as log:
            self._process = subprocess.Popen([program, str(config)], stdout=log, stderr=log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs: some objects have ended it."""
        return self._process.poll() is None

    def send(self, files: Sequence[Path]) -> list[str]:
        """C-STORE files with the node's own sender; return a sentence for each that was not stored."""
        outgoing = [Outgoing(path.name, path) for path in files]
        outcomes = DimseTransport("PAXNODE").send(self.destination, outgoing)
        return [
            f"{each.sop_instance_uid}: {each.reason}"
            for each in outcomes
            if each.verdict is not Verdict.STORED
        ]

    def clear(self) -> None:
        """Remove every patient."""
        for patient in self._get("/patients"):
            request = urllib.request.Request(self._url(f"/patients/{patient}"), method="DELETE")
            urllib.request.urlopen(request, timeout=START_S).close()

    def _settings(self, plugin: Path) -> dict[str, object]:
        return {
            "Name": "paxnode",
            "StorageDirectory": str(self._folder / "storage"),
            "IndexDirectory": str(self._folder / "storage"),
            "Plugins": [str(plugin)],
            "HttpPort": self.http_port,
            "HttpBindAddresses": [HOST],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": AE_TITLE,
            "DicomPort": self.destination.port,
            "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": True,
            "DicomWeb": {
                "Enable": True,
                "Root": "/dicom-web/",
                "StudiesMetadata": "Full",
                "SeriesMetadata": "Full",
            },
            **self._more,
        }

    def _url(self, path: str) -> str:
        return f"http://{HOST}:{self.http_port}{path}"

    def _get(self, path: str) -> list[str]:
        with urllib.request.urlopen(self._url(path), timeout=START_S) as answer:
            content: list[str] = json.load(answer)
        return content

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._get("/dicom-web/studies")
                return
            except urllib.error.URLError:
                if time.monotonic() > deadline or not self.is_alive:
                    raise
            time.sleep(0.1)

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def found(program: str) -> str:
    """Return the path of an installed program.

    Raises:
        NotInstalledError: It is not there.
    """
    path = shutil.which(program)
    if path is None:
        raise NotInstalledError(
            f"{program} is not installed; docs/viewers.md and docs/performance.md name the packages"
        )
    return path


def dicomweb_plugin(program: str) -> Path:
    """Return the DICOMweb plugin that belongs to an installed Orthanc.

    Raises:
        NotInstalledError: There is none.
    """
    prefix = Path(program).parents[1]
    for folder in PLUGIN_FOLDERS:
        if (prefix / folder / DICOMWEB_PLUGIN).is_file():
            return prefix / folder / DICOMWEB_PLUGIN
    raise NotInstalledError(f"{DICOMWEB_PLUGIN} is not installed; docs/viewers.md names the packages")
