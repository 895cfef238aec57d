from node.traffic import OTHER, Traffic


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
