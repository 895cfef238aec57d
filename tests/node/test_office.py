"""Who works in a node, as its settings say."""

from pathlib import Path

from sqlalchemy import Engine

from ai.bundle import DEFAULT_BUNDLE
from ai.stand_in import StandInSegmenter
from config.settings import Settings
from node.auditor import AuditTrail
from node.commitment_store import CommitmentStore
from node.job_store import JobStore
from node.office import office_for
from node.part import Part
from node.reader import read_radiograph
from node.shared import Shared
from node.spool import Spool
from tests.node.test_model import SAMPLE


def test_network_that_a_rule_names_is_measured_as_any_other(tmp_path: Path, engine: Engine) -> None:
    bundle = str(DEFAULT_BUNDLE)
    settings = Settings.model_validate(
        {
            "node": {"data_dir": tmp_path},
            "model": {"threads": 2},
            "rule": [{"name": "children", "model": bundle}],
        }
    )
    stores = JobStore(engine), CommitmentStore(engine)
    shared = Shared(settings, {Part.WORK}, Spool(tmp_path), *stores, AuditTrail())
    office = office_for(shared, StandInSegmenter(), None)

    office.segmenters[bundle].segment([read_radiograph(SAMPLE).radiograph])

    value = office.meters.registry.get_sample_value
    assert value("paxnode_network_run_images_count") == 1
    assert value("paxnode_stage_seconds_count", {"stage": "inference"}) == 1
