from dataclasses import fields

import pytest

from node.options import OutputOptions

CHANGED = {
    "seg": OutputOptions(seg=False),
    "sr": OutputOptions(sr=False),
    "ohif_orientation": OutputOptions(ohif_orientation=False),
    "series_number_base": OutputOptions(series_number_base=100),
    "content_qualification": OutputOptions(content_qualification="PRODUCT"),
    "uid_root": OutputOptions(uid_root="1.2.3"),
}


def test_every_option_enters_the_digest() -> None:
    assert set(CHANGED) == {field.name for field in fields(OutputOptions)}
    digests = {options.digest() for options in CHANGED.values()}
    assert len(digests | {OutputOptions().digest()}) == len(CHANGED) + 1


def test_an_unknown_content_qualification_is_refused() -> None:
    with pytest.raises(ValueError, match="MAYBE"):
        OutputOptions(content_qualification="MAYBE")
