"""The bill of materials names what the node needs, and an audit without an answer is no good news."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rich.console import Console

from tests.house.sbom import EXIT_FOUND, EXIT_NOT_ASKED, Part, audit, bill_of_materials, installed_parts

PARTS = [Part("paxnode", "1.0", "Apache-2.0", ("numpy",)), Part("numpy", "2.0", "BSD", ())]


@contextmanager
def _answering(status: int, answer: object) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _audited(service: str) -> tuple[int, str]:
    out = io.StringIO()
    status = audit(PARTS, Console(file=out, width=300), service)
    return status, out.getvalue()


def test_bill_is_valid_and_holds_what_the_node_needs_and_not_the_tools() -> None:
    parts = installed_parts()
    bill = bill_of_materials(parts)

    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill)) is None
    names = {part.name.lower() for part in parts}
    assert {"paxnode", "pydicom", "pynetdicom", "sqlalchemy", "numpy", "cryptography"} - names <= {
        "cryptography"
    }
    assert not {"torch", "pytest", "ruff"} & names


def test_every_part_has_a_licence() -> None:
    assert [part.name for part in installed_parts() if part.licence == "unknown"] == []


def test_known_vulnerability_is_told_and_fails() -> None:
    with _answering(200, {"results": [{"vulns": [{"id": "GHSA-1"}, {"id": "CVE-2"}]}]}) as service:
        assert _audited(service) == (EXIT_FOUND, "audit: pkg:pypi/numpy@2.0: GHSA-1, CVE-2\n")


def test_nothing_known_is_told_as_that() -> None:
    with _answering(200, {"results": [{}]}) as service:
        assert _audited(service) == (0, f"audit: {service} knows nothing against 1 dependencies\n")


def test_no_answer_is_not_taken_for_no_vulnerabilities() -> None:
    for status, answer in ((500, {}), (200, {}), (200, {"results": []}), (200, [])):
        with _answering(status, answer) as service:
            code, words = _audited(service)
        assert code == EXIT_NOT_ASKED
        assert words.startswith(f"audit: NOT CHECKED for known vulnerabilities: {service} gave no answer")
