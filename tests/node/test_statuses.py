import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from node import statuses


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (statuses.SUCCESS, "Success"),
        (statuses.OUT_OF_RESOURCES, "Failure"),
        (statuses.DOES_NOT_MATCH_SOP_CLASS, "Failure"),
        (statuses.CANNOT_UNDERSTAND, "Failure"),
    ],
)
def test_status_is_one_of_the_storage_service_class(status: int, category: str) -> None:
    assert status in STORAGE_SERVICE_CLASS_STATUS
    assert code_to_category(status) == category


def test_every_status_is_tested_above() -> None:
    named = {value for name, value in vars(statuses).items() if name.isupper()}

    assert named == {0x0000, 0xA700, 0xA900, 0xC000}
