import itertools

import pytest

from node.errors import TransitionError
from node.states import LET_GO, PUT_ASIDE, TRANSITIONS, Event, State, next_state

END_STATES = {State.DONE}


def test_good_way_leads_to_done() -> None:
    state = State.RECEIVED

    for event in (Event.QUEUE, Event.CLAIM, Event.STORE, Event.DELIVER, Event.COMPLETE):
        state = next_state(state, event)

    assert state is State.DONE


@pytest.mark.parametrize(
    ("state", "event"), [pair for pair in itertools.product(State, Event) if pair not in TRANSITIONS]
)
def test_every_other_pair_is_an_error_that_names_both(state: State, event: Event) -> None:
    with pytest.raises(TransitionError, match=f"{state.value}.*{event.value}"):
        next_state(state, event)


@pytest.mark.parametrize("state", sorted(set(State) - END_STATES))
def test_state_other_than_done_can_be_left(state: State) -> None:
    assert any(source is state for source, _ in TRANSITIONS)


def test_every_state_is_reached_from_received() -> None:
    reached = {State.RECEIVED}
    for _ in State:
        reached |= {target for (source, _), target in TRANSITIONS.items() if source in reached}

    assert reached == set(State)


def test_image_that_no_rule_matched_is_not_let_go() -> None:
    assert set(PUT_ASIDE) - set(LET_GO) == {State.UNMATCHED}
