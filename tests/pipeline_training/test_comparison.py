"""The rule that a fine-tuned bundle is kept by."""

from pipeline_training.comparison import AGREEMENT, Comparison, Pair

BETTER = (Pair("a", "heart", 0.8, 0.9), Pair("b", "heart", 0.8, 0.82))


def test_what_nobody_corrected_may_not_move() -> None:
    """A child that is better where it was corrected is worse all the same, and the structure is named."""
    assert Comparison(BETTER, {"aorta": AGREEMENT, "trachea": 1.0}).reasons() == ()
    worse = Comparison(BETTER, {"aorta": 0.95, "trachea": 0.71})
    assert worse.reasons() == (
        "what nobody corrected agrees with the parent's by less than 0.9: trachea (0.710)",
    )
    assert worse.as_json()["worse"] == list(worse.reasons())


def test_refusal_names_the_structures_that_moved_most() -> None:
    agreement = {f"rib {number}": number / 10 for number in range(8, 0, -1)}
    (told,) = Comparison(BETTER, agreement).reasons()
    assert told.endswith(
        "rib 1 (0.100), rib 2 (0.200), rib 3 (0.300), rib 4 (0.400), rib 5 (0.500) and 3 others"
    )


def test_each_image_counts_once_however_many_structures_it_shows() -> None:
    pairs = (*BETTER[:1], Pair("b", "heart", 0.8, 0.7), Pair("b", "aorta", 0.8, 0.7))
    assert abs(Comparison(pairs, {}).mean_difference().mean) < 1e-9
