"""Writes docs/conformance_statement.md anew from the code and from objects that it makes: `make statement`.

PS3.2 Annex A gives the layout. The words stand in statement/template.md; every table that the code can fill
is filled by it, and the attributes of the objects are those that made radiographs led to. No UID, date or
time of a run is in it, so the page comes out the same every time.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AE, DEFAULT_TRANSFER_SYNTAXES

from config.network import TlsSettings
from config.settings import DeliverySettings, NodeSettings
from node import prover
from node.commitment_scp import LINGER_S, MAX_REFERENCES
from node.commitment_scu import KEEP_OPEN_S
from node.doctor_dicom import STEP_TIMEOUT_S
from node.identity import FORMS
from node.listener import STOP_GRACE_S
from node.proof_store import MAX_RESENDS
from node.sender import BATCH
from node.transport import MAX_CONTEXTS
from tests.house.statement import coding, network
from tests.house.statement.objects import Objects
from tests.house.statement.subjects import Written, written

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance_statement.md"
TEMPLATE = Path(__file__).parent / "statement" / "template.md"

PLACE = re.compile(r"\{\{ (\w+) \}\}")
"""Where something is put into the template."""


def statement(objects: Sequence[Written]) -> str:
    """Return the page.

    Args:
        objects: Results of every kind, of sources, models and settings that differ.
    """
    template = TEMPLATE.read_text(encoding="utf-8")
    parts = {**_names(), **_numbers(), **_network(), **coding.parts(), **Objects(objects).parts()}
    page = PLACE.sub(lambda place: parts[place[1]] if place[1] != "contents" else place[0], template)
    return page.replace("{{ contents }}", _contents(page))


def _names() -> Mapping[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"version": str(project["version"]), "ae_title": NodeSettings().ae_title}


def _numbers() -> Mapping[str, str]:
    node, delivery = NodeSettings(), DeliverySettings()
    numbers = {
        "max_associations": node.max_associations,
        "max_pdu": node.max_pdu,
        "sender_pdu": AE().maximum_pdu_size,
        "port": node.port,
        "tls_port": TlsSettings().port,
        "network_timeout": node.network_timeout_s,
        "max_object_bytes": node.max_object_bytes,
        "artim": min(TlsSettings().handshake_timeout_s, node.network_timeout_s),
        "stop_grace": STOP_GRACE_S,
        "batch": BATCH,
        "max_contexts": MAX_CONTEXTS,
        "first_retry": delivery.first_retry_s,
        "longest_retry": delivery.longest_retry_s,
        "breaker": delivery.breaker_failures,
        "destination_timeout": network.default_of_destination("timeout_s"),
        "echo_timeout": STEP_TIMEOUT_S,
        "proof_batch": prover.BATCH,
        "keep_open": KEEP_OPEN_S,
        "proof_timeout": network.default_of_destination("proof_timeout_s"),
        "resends": MAX_RESENDS,
        "linger": LINGER_S,
        "max_references": MAX_REFERENCES,
    }
    return {name: network.shown(value) for name, value in numbers.items()}


def _network() -> Mapping[str, str]:
    return {
        "services": network.services_table(),
        "accepted_classes": network.accepted_classes_table(),
        "accepted_contexts": network.accepted_contexts_table(),
        "accepted_syntaxes": network.accepted_syntaxes_table(),
        "answers": network.answers_table(),
        "made_classes": network.made_classes_table(),
        "proposed_contexts": network.proposed_contexts_table(),
        "proof_classes": network.proof_classes_table(),
        "commitment_answers": network.commitment_answers_table(),
        "judgements": network.judgements_table(),
        "parameters": network.parameters_table(),
        "echo_syntaxes": ", ".join(UID(uid).name for uid in DEFAULT_TRANSFER_SYNTAXES),
        "formed": ", ".join(sorted(network.attribute_name(keyword) for keyword in FORMS)),
    }


def _contents(page: str) -> str:
    """Return links to the headings of the first three levels."""
    lines = []
    for marks, heading in re.findall(r"^(##|###) (.+)$", page, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        lines.append(f"{'    ' * (len(marks) - 2)}* [{heading}](#{anchor})")
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(statement(list(written())), encoding="utf-8")


if __name__ == "__main__":
    main()
