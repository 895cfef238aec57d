import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.dataset import Source
from pipeline_training.errors import DatasetError, VolumeError
from pipeline_training.online import OnlineSources, render_block
from pipeline_training.projections import POSES_PER_BODY

MakeCase = Callable[..., Path]


@pytest.fixture
def online(make_case: MakeCase) -> OnlineSources:
    return OnlineSources((make_case("a"),), seed=3)


def same(first: Source, second: Source) -> bool:
    return (
        first.patient == second.patient
        and first.view == second.view
        and np.array_equal(first.tissues, second.tissues)
        and np.array_equal(first.coverage, second.coverage)
    )


def test_stream_yields_what_is_drawn_by_index(online: OnlineSources) -> None:
    stream = online.stream(POSES_PER_BODY - 1)
    last, *made = itertools.islice(stream, 3)
    stream.close()
    drawn = render_block(online, 1)  # the next body, rendered once: it is the slow part
    assert all(same(a, b) for a, b in zip(made, drawn[:2], strict=True))
    assert not any(same(last, each) for each in drawn)
    assert not same(drawn[0], drawn[1])
    assert not drawn[0].is_real


def test_case_that_cannot_be_used_is_told_by_the_stream(tmp_path: Path) -> None:
    stream = OnlineSources((tmp_path / "missing",)).stream()
    with pytest.raises(VolumeError, match="missing"):
        next(stream)


@pytest.mark.parametrize(("cases", "processes"), [((), 1), ((Path("a"),), 0)])
def test_senseless_sources_are_refused(cases: tuple[Path, ...], processes: int) -> None:
    with pytest.raises(DatasetError, match=r"no case|one process"):
        OnlineSources(cases, processes=processes)
