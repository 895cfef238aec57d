"""The viewer's site: its pages, its configuration, and the archive behind it."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.viewers.viewer_site import ViewerSite


class _Archive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        told = {"path": self.path, "accept": self.headers["Accept"], "host": self.headers["Host"]}
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is that of the base
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerSite]:
    folder = tmp_path_factory.mktemp("viewer")
    (folder / "index.html").write_text("the viewer")
    (folder / "code.wasm").write_bytes(b"wasm")
    archive = HTTPServer(("127.0.0.1", 0), _Archive)
    thread = threading.Thread(target=archive.serve_forever)
    thread.start()
    with ViewerSite(folder, archive.server_port) as served:
        yield served
    archive.shutdown()
    archive.server_close()
    thread.join()


def _get(url: str) -> tuple[str, str]:
    request = urllib.request.Request(url, headers={"Accept": "multipart/related; type=a"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def test_files_are_served_with_their_type(site: ViewerSite) -> None:
    assert _get(f"{site.url}/code.wasm") == ("wasm", "application/wasm")


@pytest.mark.parametrize("path", ["/", "/viewer?StudyInstanceUIDs=1.2", "/../../etc/hostname"])
def test_any_other_page_is_the_viewer(site: ViewerSite, path: str) -> None:
    assert _get(site.url + path)[0] == "the viewer"


def test_the_viewer_is_configured_for_the_archive_on_its_own_origin(site: ViewerSite) -> None:
    script, kind = _get(f"{site.url}/app-config.js")
    config = json.loads(script.removeprefix("window.config = ").rstrip(";"))
    assert kind == "text/javascript"
    assert config["dataSources"][0]["configuration"]["wadoRoot"] == "/dicom-web"


@pytest.mark.parametrize("path", ["/dicom-web/studies?limit=1", "/wado?requestType=WADO&objectUID=1.2"])
def test_dicomweb_and_wado_are_answered_by_the_archive(site: ViewerSite, path: str) -> None:
    told, kind = _get(site.url + path)
    answer = json.loads(told)
    assert answer["path"] == path
    assert answer["accept"] == "multipart/related; type=a"
    assert f"http://{answer['host']}" == site.url
    assert kind == "application/dicom+json"
