"""The header of a received file is the one that pydicom writes."""

from typing import Any

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dsutils import create_file_meta

from node.reception import _file_header
from node.store_command import StoreRequest


def _header(sop_class: str, instance: str) -> bytes:
    request = StoreRequest(1, 1, sop_class, instance, 0, has_data_set=True)
    return _file_header(request, ExplicitVRLittleEndian)


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
