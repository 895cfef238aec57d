"""Contexts for TLS: what they allow, and sentences for files that cannot be used."""

import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from config.network import TlsSettings
from node.errors import TlsError
from node.tls import LARGEST_FILE, client_context, server_context
from tests.authority import Authority, Identity, key_pem


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def node(authority: Authority) -> Identity:
    return authority.identity("node")


@pytest.mark.parametrize("make", [server_context, client_context])
def test_only_new_versions_and_suites_with_forward_secrecy_and_authentication(
    make: Callable[[TlsSettings], ssl.SSLContext], authority: Authority, node: Identity
) -> None:
    context = make(node.settings(authority))

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    for suite in context.get_ciphers():
        assert suite["aead"], suite["name"]
        assert suite["protocol"] == "TLSv1.3" or suite["name"].startswith("ECDHE-"), suite["name"]


def test_peers_must_show_a_certificate_unless_the_settings_say_otherwise(
    authority: Authority, node: Identity
) -> None:
    anybody = node.settings(authority, client_certificates="none")

    assert server_context(node.settings(authority)).verify_mode == ssl.CERT_REQUIRED
    assert server_context(anybody).verify_mode == ssl.CERT_NONE
    assert server_context(anybody).num_tickets == 0


def test_destination_is_checked_by_name_against_the_authorities_that_are_given(
    authority: Authority, node: Identity, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    own = client_context(node.settings(authority))
    given = client_context(node.settings(authority), str(other.file))
    system = client_context(node.settings(authority), "")

    assert own.check_hostname
    assert own.verify_mode == ssl.CERT_REQUIRED
    assert [names(context) for context in (own, given)] == [["authority"], ["other"]]
    assert "authority" not in names(system)


def names(context: ssl.SSLContext) -> list[str]:
    subjects = [dict(entry[0] for entry in found["subject"]) for found in context.get_ca_certs()]  # type: ignore
    return [subject.get("commonName", "") for subject in subjects]


def test_key_of_another_certificate_is_told(authority: Authority, node: Identity) -> None:
    other = authority.identity("other")
    with pytest.raises(TlsError, match=r"'key' .*other\.key is not the key of 'certificate' .*node\.crt"):
        server_context(replace(node, key=other.key).settings(authority))


def test_key_with_a_password_is_told_and_nobody_is_asked(
    authority: Authority, node: Identity, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    locked.write_bytes(key_pem(load_pem_private_key(node.key.read_bytes(), None), b"secret"))
    with pytest.raises(TlsError, match=r"'key' .*locked\.key needs a password"):
        server_context(replace(node, key=locked).settings(authority))


@pytest.mark.parametrize("setting", ["certificate", "key", "authorities"])
@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read: No such file"), ("hello", "holds no .* in PEM form")]
)
def test_file_that_is_missing_or_another_is_told_by_setting_and_name(
    setting: str, content: str | None, words: str, authority: Authority, node: Identity, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(TlsError, match=f"'{setting}' .*wrong.pem {words}"):
        server_context(node.settings(authority, **{setting: str(file)}))


def test_error_holds_nothing_of_the_key(authority: Authority, node: Identity, tmp_path: Path) -> None:
    broken = tmp_path / "broken.key"
    lines = node.key.read_text().splitlines()
    broken.write_text("\n".join([lines[0], lines[1][:20], lines[-1]]))
    with pytest.raises(TlsError) as caught:
        server_context(replace(node, key=broken).settings(authority))

    assert lines[1][:10] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_no_file_or_too_long_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "long.pem").write_bytes(b"-" * (LARGEST_FILE + 1))
    for name, words in (
        (tmp_path / "fifo", "is no file"),
        ("/dev/zero", "is no file"),
        (tmp_path, "is no file"),
    ):
        with pytest.raises(TlsError, match=words):
            client_context(TlsSettings(authorities=str(name)))
    with pytest.raises(TlsError, match=f"has more than {LARGEST_FILE} bytes"):
        client_context(TlsSettings(authorities=str(tmp_path / "long.pem")))
