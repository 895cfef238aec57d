"""The header of a received file is the one that pydicom writes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dsutils import create_file_meta

from node.reception import _file_header


def _header(sop_class: str, instance: str) -> bytes:
    command = SimpleNamespace(AffectedSOPClassUID=UID(sop_class), AffectedSOPInstanceUID=UID(instance))
    return _file_header(cast("C_STORE_RQ", SimpleNamespace(command_set=command)), ExplicitVRLittleEndian)


@pytest.mark.parametrize("instance", ["2.25.1", "2.25.12", "2.25." + "1" * 59])
def test_header_is_the_one_that_pydicom_writes(instance: str) -> None:
    uids: dict[str, Any] = {
        "sop_class_uid": UID("1.2.840.10008.5.1.4.1.1.1.1"),
        "sop_instance_uid": UID(instance),
    }
    wanted = DicomBytesIO()
    write_file_meta_info(wanted, create_file_meta(**uids, transfer_syntax=ExplicitVRLittleEndian))

    found = _header(uids["sop_class_uid"], instance)

    assert found == bytes(128) + b"DICM" + wanted.getvalue()


def test_request_without_a_uid_has_no_header() -> None:
    with pytest.raises(ValueError, match="lacks a UID"):
        _header("1.2.840.10008.5.1.4.1.1.1.1", "")
