from node.stage_times import STAGES, StageTimes, peak_memory_mb


def test_stages_come_in_the_order_in_which_they_run() -> None:
    times = StageTimes()
    for stage in reversed(STAGES):
        times.observe(stage, 1.0)

    assert [stage for stage, _, _ in times.rows()] == [stage for stage in STAGES if stage != "segment"]


def test_segment_stands_for_its_parts_where_they_are_not_known() -> None:
    times = StageTimes()
    times.observe("segment", 1.0)

    assert [stage for stage, _, _ in times.rows()] == ["segment"]


def test_mean_and_longest_time_of_a_stage() -> None:
    times = StageTimes()
    times.observe_all({"read": 1.0})
    times.observe_all({"read": 3.0})

    assert times.rows() == [("read", 2.0, 3.0)]


def test_peak_memory_is_that_of_a_python_process() -> None:
    assert 10 < peak_memory_mb() < 100_000
