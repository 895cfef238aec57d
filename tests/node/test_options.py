import hashlib
import json
from dataclasses import fields

import pytest

from node.options import WRITER_REVISION, OutputOptions

CHANGED = {
    "seg": OutputOptions(seg=False),
    "sr": OutputOptions(sr=False),
    "ohif_orientation": OutputOptions(ohif_orientation=False),
    "series_number_base": OutputOptions(series_number_base=100),
    "content_qualification": OutputOptions(content_qualification="PRODUCT"),
    "uid_root": OutputOptions(uid_root="1.2.3"),
    "judged": OutputOptions(judged="0" * 64),
}


def test_every_option_enters_the_digest() -> None:
    assert set(CHANGED) == {field.name for field in fields(OutputOptions)}
    digests = {options.digest() for options in CHANGED.values()}
    assert len(digests | {OutputOptions().digest()}) == len(CHANGED) + 1


def test_without_a_judge_results_keep_the_uids_that_they_had_before_there_were_judges() -> None:
    before = {
        "writer": WRITER_REVISION,
        "seg": True,
        "sr": True,
        "ohif_orientation": True,
        "series_number_base": 9000,
        "content_qualification": "RESEARCH",
        "uid_root": "",
    }
    digest = hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    assert OutputOptions().digest() == digest


def test_an_unknown_content_qualification_is_refused() -> None:
    with pytest.raises(ValueError, match="MAYBE"):
        OutputOptions(content_qualification="MAYBE")
