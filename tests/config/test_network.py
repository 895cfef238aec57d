"""What `[tls]` must hold together."""

from typing import Any

import pytest
from pydantic import ValidationError

from config.network import TlsSettings

FILES = {"certificate": "node.crt", "key": "node.key"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"certificate": "node.crt"}, "'certificate' and 'key' must both be given"),
        ({"only": True}, "'only' needs a certificate"),
        (FILES, "'authorities' must name those who sign"),
        (
            FILES | {"client_certificates": "none", "client_fingerprints": ("0" * 64,)},
            "'client_fingerprints' needs client_certificates",
        ),
        ({"client_fingerprints": ("AA:BB",)}, "client_fingerprints"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TlsSettings(**values)
