"""What several labellers' answers come to, on voxels whose answer is known."""

import tracemalloc

import numpy as np
import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.consensus import TRUST, Consensus, agree
from pipeline_training.labelling.labeller import LabelVote

CHAMBERS = (
    "heart_myocardium",
    "heart_atrium_left",
    "heart_atrium_right",
    "heart_ventricle_left",
    "heart_ventricle_right",
)


def vote(
    labeller: str, says: list[str], knows: set[str] | None = None, sure: list[float] | None = None
) -> LabelVote:
    """A labeller's answers in a row of voxels, "" being nothing."""
    names = dict(enumerate(sorted(set(says) - {""}), start=1))
    ids = {name: number for number, name in names.items()}
    labels = np.array([[[ids.get(name, 0) for name in says]]], np.uint8)
    trust = None if sure is None else np.array([[sure]], np.float32)
    return LabelVote(labeller, labels, names, frozenset(knows or set()) | set(names.values()), trust)


def chosen(consensus: Consensus) -> list[str]:
    return [consensus.names.get(int(n), "") for n in consensus.labels.ravel()]


def test_one_against_two_who_see_nothing_is_not_believed() -> None:
    says, silent = ["liver", "liver"], ["", ""]
    both = [vote("b", silent, {"liver"}), vote("c", silent, {"liver"})]
    consensus = agree([vote("a", says), *both])
    assert chosen(consensus) == ["", ""]
    assert consensus.agreement["liver"] == pytest.approx(1 / 3)  # two of three pairs contradict each other


def test_two_against_one_who_sees_nothing_are_believed_with_two_thirds_of_their_trust() -> None:
    consensus = agree([vote("a", ["liver"]), vote("b", [""], {"liver"}), vote("c", ["liver"])])
    assert chosen(consensus) == ["liver"]
    assert consensus.confidence.ravel() == pytest.approx([TRUST * 2 / 3])


def test_two_against_one_who_names_another_structure_are_believed() -> None:
    everything = {"liver", "spleen"}
    row = [["spleen"], ["liver"], ["liver"]]
    assert chosen(agree([vote(str(n), says, everything) for n, says in enumerate(row)])) == ["liver"]


def test_equal_shares_go_to_the_labeller_named_first() -> None:
    a, b = vote("a", ["spleen"], {"liver"}), vote("b", ["liver"], {"spleen"})
    assert chosen(agree([a, b])) == ["spleen"]
    assert chosen(agree([b, a])) == ["liver"]


def test_found_and_not_found_with_equal_trust_is_found_with_half_of_it() -> None:
    for order in (1, -1):
        consensus = agree([vote("a", ["liver"]), vote("b", [""], {"liver"})][::order])
        assert chosen(consensus) == ["liver"]
        assert consensus.confidence.ravel() == pytest.approx([TRUST / 2])


def test_surer_silence_outdoes_an_unsure_find() -> None:
    consensus = agree([vote("a", ["liver"], sure=[0.4]), vote("b", [""], {"liver"}, sure=[0.8])])
    assert chosen(consensus) == [""]
    assert consensus.confidence.ravel() == pytest.approx([0.4])


def test_specialists_of_ribs_and_of_lungs_do_not_disturb_each_other() -> None:
    ribs = vote("ribs", ["rib_left_4", "", ""])
    lungs = vote("lungs", ["", "lung_upper_lobe_left", ""])
    for votes in ([ribs, lungs], [lungs, ribs]):
        consensus = agree(votes)
        assert chosen(consensus) == ["rib_left_4", "lung_upper_lobe_left", ""]
        assert consensus.confidence.ravel()[:2] == pytest.approx([TRUST, TRUST])
        assert consensus.agreement == {}


def test_generalist_who_contradicts_a_specialist_speaks_against_it() -> None:
    lungs = vote("lungs", ["lung_left"])
    general = vote("general", ["rib_left_4"], {"lung_left"})
    assert chosen(agree([lungs, general])) == ["rib_left_4"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("part", "whole"),
    [("heart_atrium_left", "heart"), ("lung_upper_lobe_left", "lung_left"), ("liver", "body")],
)
def test_part_goes_before_its_whole_and_the_whole_does_not_speak_against_it(
    part: str, whole: str, order: int
) -> None:
    consensus = agree([vote("a", [part], sure=[0.6]), vote("b", [whole], sure=[1.0])][::order])
    assert chosen(consensus) == [part]
    assert consensus.confidence.ravel() == pytest.approx([0.6])


def test_who_sees_no_heart_speaks_against_an_atrium() -> None:
    atrium, heart = vote("a", ["heart_atrium_left"], sure=[0.5]), vote("b", [""], {"heart"}, sure=[0.9])
    assert chosen(agree([atrium, heart])) == [""]


def test_parts_that_a_labeller_knows_all_of_agree_with_the_whole_of_another() -> None:
    fine = vote("a", ["heart_atrium_left", "heart_ventricle_left", ""], set(CHAMBERS))
    coarse = vote("b", ["heart", "", "heart"])
    assert agree([fine, coarse]).agreement["heart"] == pytest.approx(2 * 1 / (2 + 2))
    assert "heart" not in agree([vote("a", ["heart_atrium_left"]), vote("b", ["heart"])]).agreement


def test_two_who_both_see_nothing_agree() -> None:
    votes = [vote("a", ["liver"]), vote("b", [""], {"liver"}), vote("c", [""], {"liver"})]
    assert agree(votes).agreement["liver"] == pytest.approx(np.mean([0, 0, 1]))


def test_weights_are_those_of_labeller_and_structure() -> None:
    votes = [vote("a", ["liver", "spleen"]), vote("b", ["spleen", "liver"])]

    def livers_of_b(labeller: str, structure: str) -> float:
        return 3.0 if (labeller, structure) == ("b", "liver") else 1.0

    assert chosen(agree(votes)) == ["liver", "spleen"]
    assert chosen(agree(votes, livers_of_b)) == ["spleen", "liver"]
    assert chosen(agree([vote("a", ["liver"])], lambda _a, _b: 0.0)) == [""]


def test_label_without_a_name_is_nothing() -> None:
    strange = LabelVote("a", np.full((1, 1, 1), 7, np.uint8), {}, frozenset({"liver"}))
    assert chosen(agree([strange, vote("b", ["liver"])])) == ["liver"]


def test_more_than_eight_labellers_are_refused() -> None:
    with pytest.raises(LabellerError, match="at most 8"):
        agree([vote(str(n), ["liver"]) for n in range(9)])


def test_pieces_come_out_as_the_whole_would(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(5)
    names = {1: "liver", 2: "spleen", 3: "heart", 4: "heart_atrium_left"}
    votes = [
        LabelVote(
            str(n),
            draw.integers(0, 5, (7, 6, 5), np.uint8),
            names,
            frozenset(names.values()),
            draw.random((7, 6, 5), np.float32),
        )
        for n in range(3)
    ]
    whole = agree(votes)
    monkeypatch.setattr("pipeline_training.labelling.consensus.AT_ONCE", 16)
    pieces = agree(votes)
    assert np.array_equal(whole.labels, pieces.labels)
    assert np.array_equal(whole.confidence, pieces.confidence)
    assert whole.agreement == pieces.agreement


def test_memory_is_that_of_the_result() -> None:
    shape = (160, 160, 160)
    labels = np.zeros(shape, np.uint8)
    labels[40:120] = 1
    votes = [LabelVote(str(n), labels, {1: "liver"}, frozenset({"liver"})) for n in range(3)]
    tracemalloc.start()
    agree(votes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * labels.size + 400 * (1 << 20)
