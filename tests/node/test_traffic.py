from types import SimpleNamespace
from typing import Any

from node.bell import Bell
from node.loop import Loop
from node.traffic import OTHER, Traffic
from node.watched import Parts


def test_senders_of_the_settings_are_counted_by_name_and_all_others_together() -> None:
    traffic = Traffic({"CR1"})
    traffic.know(["CR2"])
    for title in ("CR1", "CR2 ", "DOE^JOHN", "ANYBODY"):
        traffic.called(title)
        traffic.answered(title, 0xA700 if title == "CR1" else 0x0000, 10)

    counts = traffic.counts

    assert counts.associations == {"CR1": 1, "CR2": 1, OTHER: 2}
    assert counts.answers == {("CR1", 0xA700): 1, ("CR2", 0x0000): 1, (OTHER, 0x0000): 2}
    assert counts.received_bytes == {"CR1": 10, "CR2": 10, OTHER: 20}


def test_listener_counts_an_association_by_the_title_of_who_calls(run: Any) -> None:
    node = run(urgent_ae_titles=("CR1",))
    for title in ("CR1", "STRANGER"):
        node.associate(ae_title=title).release()
    assert node.listener.traffic.counts.associations == {"CR1": 1, OTHER: 1}


def test_loops_of_two_peers_have_names_of_their_own() -> None:
    names = ("sender-peer:CR1:host-7-ab", "sender-peer:CR2:host-7-cd", "housekeeper")
    turning = tuple(SimpleNamespace(loop=Loop(name, lambda: 1.0, Bell())) for name in names)
    assert [name for name, _ in Parts(turning=turning).loops()] == [
        "sender-peer:CR1",
        "sender-peer:CR2",
        "housekeeper",
    ]
