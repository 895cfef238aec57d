"""Each C-STORE status has one meaning for a delivery."""

import pytest

from node.outcome import Outcome, Verdict, judge


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0xB123, 0x0107, 0x0116])
def test_status_counts_as_stored(status: int) -> None:
    assert judge("1.2", status).verdict is Verdict.STORED


@pytest.mark.parametrize("status", [0xA700, 0xA702, 0xA7FF, 0x0110, 0x0213])
def test_status_may_pass_and_is_tried_again(status: int) -> None:
    assert judge("1.2", status).verdict is Verdict.TRANSIENT


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC211, 0xCFFF, 0x0122, 0x0124, 0x0117, 0xFE00, 0xFFFF])
def test_status_stays_and_the_delivery_is_parked(status: int) -> None:
    assert judge("1.2", status).verdict is Verdict.PERMANENT


def test_outcome_names_its_status_in_words_and_in_hexadecimal() -> None:
    assert judge("1.2", 0xA700).reason == "out of resources there (0xA700)"
    assert "does not give for C-STORE (0x0BAD)" in judge("1.2", 0x0BAD).reason


def test_only_what_the_peer_did_not_answer_counts_as_unanswered() -> None:
    assert Outcome("1.2", Verdict.UNSENT, None, "").unanswered
    assert Outcome("1.2", Verdict.TRANSIENT, None, "").unanswered
    assert not Outcome("1.2", Verdict.PERMANENT, None, "no presentation context").unanswered
    assert not judge("1.2", 0xA700).unanswered
