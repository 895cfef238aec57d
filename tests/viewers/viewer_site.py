"""A viewer and an archive's DICOMweb on one origin, so that no browser asks for permission across origins."""

import http.client
import json
import mimetypes
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from tests.faults.parts import HOST
from tests.viewers.orthanc import found

OHIF_VERSION = "3.13.2"
"""The release on npm that was measured; its package @ohif/app holds the built viewer."""

AMI_VERSION, THREE_VERSION = "0.33.0", "0.116.1"
"""Of the toolkit ami.js on npm, and the release of three that has what AMI's helpers ask of it."""

AMI_PAGE = Path(__file__).with_name("ami_page.html")

DICOMWEB_ROOT = "/dicom-web"
WADO_URI_ROOT = "/wado"
LONGEST_ANSWER_S = 600.0
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers under which a page gets SharedArrayBuffer, which OHIF's decoders use where they can."""

DATA_SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "dicomweb",
    "configuration": {
        "friendlyName": "Orthanc",
        "name": "orthanc",
        "wadoUriRoot": DICOMWEB_ROOT,
        "qidoRoot": DICOMWEB_ROOT,
        "wadoRoot": DICOMWEB_ROOT,
        "qidoSupportsIncludeField": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsWildcard": True,
        "omitQuotationForMultipartRequest": True,
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
    },
}
APP_CONFIG = {
    "routerBasename": "/",
    "showStudyList": True,
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "maxNumberOfWebWorkers": 2,
    "showCPUFallbackMessage": False,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [DATA_SOURCE],
}
"""app-config.js of OHIF: its defaults, one DICOMweb server, no dialogue in the way of a picture."""

mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("text/javascript", ".js")


class ViewerSite:
    """The viewer's web site while the `with` block lasts.

    Args:
        dist: The built viewer: index.html and what belongs to it.
        archive_port: HTTP port of the archive on this machine.

    Attributes:
        url: Its origin.
    """

    def __init__(self, dist: Path, archive_port: int) -> None:
        handler = type("_Handler", (_SiteHandler,), {"dist": dist.resolve(), "archive_port": archive_port})
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> "ViewerSite":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _SiteHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dist: Path
    archive_port: int

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith((DICOMWEB_ROOT, WADO_URI_ROOT)):
            self._ask_the_archive()
        elif path == "/app-config.js":
            self._answer(200, f"window.config = {json.dumps(APP_CONFIG)};".encode(), "text/javascript")
        else:
            self._send_file(self.dist / path.lstrip("/"))

    def do_POST(self) -> None:
        self._ask_the_archive()

    def _send_file(self, file: Path) -> None:
        resolved = file.resolve()
        if not (resolved.is_file() and resolved.is_relative_to(self.dist)):
            resolved = self.dist / "index.html"  # a page of the viewer, which routes in the browser
        kind = mimetypes.guess_type(resolved.name)[0] or "application/octet-stream"
        self._answer(200, resolved.read_bytes(), kind)

    def _ask_the_archive(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
        headers["Host"] = self.headers["Host"]  # which Orthanc writes into the addresses of bulk data
        archive = http.client.HTTPConnection(HOST, self.archive_port, timeout=LONGEST_ANSWER_S)
        try:
            archive.request(self.command, self.path, self.rfile.read(length) or None, headers)
            answer = archive.getresponse()
            self._answer(answer.status, answer.read(), answer.headers.get("Content-Type", "text/plain"))
        except (OSError, http.client.HTTPException) as error:
            self._answer(502, repr(error).encode(), "text/plain")
        finally:
            archive.close()

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **ISOLATION}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is that of the base
        """Say nothing of each request."""


def ohif_dist(folder: Path) -> Path:
    """Return the built viewer; it is fetched with `npm pack` into the folder where it is not there yet."""
    dist = folder / f"ohif-{OHIF_VERSION}"
    if not dist.is_dir():
        with _packed(f"@ohif/app@{OHIF_VERSION}", folder) as package:
            shutil.move(package / "dist", dist)
    return dist


def ami_dist(folder: Path) -> Path:
    """Return the page with AMI; the toolkit is fetched as OHIF is."""
    dist = folder / f"ami-{AMI_VERSION}"
    dist.mkdir(parents=True, exist_ok=True)
    for name in (f"ami.js@{AMI_VERSION}", f"three@{THREE_VERSION}"):
        script = name.split("@")[0].removesuffix(".js") + ".min.js"
        if not (dist / script).is_file():
            with _packed(name, folder) as package:
                shutil.move(package / "build" / script, dist / script)
    shutil.copyfile(AMI_PAGE, dist / "index.html")
    return dist


@contextmanager
def _packed(name: str, folder: Path) -> Iterator[Path]:
    """Yield a package of npm (name@version), unpacked into a temporary folder within the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        command = [found("npm"), "pack", "--silent", name]
        subprocess.run(command, cwd=temporary, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(temporary).glob("*.tgz")
        with tarfile.open(archive) as packed:
            wanted = [each for each in packed.getmembers() if not each.name.endswith(".map")]
            packed.extractall(temporary, wanted, filter="data")
        yield Path(temporary) / "package"
