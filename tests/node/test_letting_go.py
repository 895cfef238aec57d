"""A worker holds the results of one profile at a time, however many there are."""

import weakref
from pathlib import Path

from pydicom import Dataset

from node.jobs import StoredResult
from node.pipeline import ResultObject
from node.work import Model, Work
from tests.node.worked_image import PLAIN, SHIMMED, MakeDx, Node, Versioned, always


def test_results_of_a_profile_are_let_go_before_those_of_the_next_are_made(
    tmp_path: Path, make_dx: MakeDx
) -> None:
    node = Node(tmp_path, make_dx())
    job = node.store.claim("worker", 60)
    assert job is not None
    seen: list[tuple[str, weakref.ref[ResultObject], weakref.ref[Dataset]]] = []

    def keep(result: ResultObject) -> StoredResult:
        if result.kind == "SEG":
            assert all(made() is None and dataset() is None for _, made, dataset in seen)
        seen.append((result.kind, weakref.ref(result), weakref.ref(result.dataset)))
        return node.keep(result)

    work = Work({"": Model(Versioned("1"))}, always({PLAIN: ("a",), SHIMMED: ("b",)}), node.store, node.spool)
    made = work(job, keep)
    assert [kind for kind, _, _ in seen] == ["SEG", "SR", "SEG", "SR"]
    assert [each.destinations for each in made.results] == [("a",), ("a",), ("b",), ("b",)]
