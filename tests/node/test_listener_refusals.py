"""What the listener does not take: told by name, or told to try again later; nothing is left behind."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    CTImageStorage,
)
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from node.database import engine_for
from node.job_store import JobStore
from node.listener import Listener
from node.spool import OWNER_FILE
from node.states import State
from tests.node.test_listener_peers import DEADLINE_S, fragments, wait_until
from tests.node.test_upper_layer_peers import VERIFICATION

MEGABYTE = 1_000_000


@pytest.fixture
def _files_of_at_most_a_megabyte() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---- what is not taken


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
@pytest.mark.parametrize(
    "content",
    [bytes((7 * i * i + 3 * i) % 251 for i in range(5000)), b"", b"GET / HTTP/1.1\r\n\r\n" * 50],
    ids=["noise", "nothing", "text"],
)
def test_bytes_that_are_no_data_set_are_answered_with_a_failure_and_not_kept(
    content: bytes, run: Any
) -> None:
    node = run()
    with node.association() as association:
        response = association.send_c_store(node.raw_file(content))
        assert response.Status == 0xC000
        assert association.send_c_echo().Status == 0x0000

    assert (node.files(), node.store.jobs(), node.rings) == ([], [], 0)


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_data_set_of_another_class_does_not_match(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx(SOPClassUID=CTImageStorage)
    path = node.raw_file(node.explicit(dataset), uid=dataset.SOPInstanceUID)
    with node.association() as association:
        response = association.send_c_store(path)

    assert (response.Status, response.ErrorComment) == (
        0xA900,
        "SOP Class UID differs from the data set's",
    )
    assert (node.files(), node.store.jobs()) == ([], [])


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_data_set_sent_under_another_uid_is_what_it_says_it_is(run: Any, make_dx: Any) -> None:
    node = run()
    content = node.explicit(make_dx(SOPInstanceUID="2.25.8"))
    with node.association() as association:
        sent = [association.send_c_store(node.raw_file(content, uid=uid)) for uid in ("2.25.7", "2.25.8")]

    assert [response.Status for response in sent] == [0x0000, 0x0000]
    assert (node.job().state, node.job().sop_instance_uid) == (State.QUEUED, "2.25.8")


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI", "ignore:The value length")
def test_uid_that_is_too_long_for_an_index_is_cut_there_and_its_object_kept(
    keyword: str, run: Any, make_dx: Any
) -> None:
    node, dataset = run(), make_dx()
    setattr(dataset, keyword, f"1.2.{'3' * 5000}")
    with node.association() as association:
        assert association.send_c_store(node.raw_file(node.explicit(dataset))).Status == 0x0000

    found = node.job()
    lengths = {len(found.sop_instance_uid), len(found.study_instance_uid), len(found.series_instance_uid)}
    assert max(lengths) == 64
    assert node.files() == [found.path]


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
@pytest.mark.parametrize(
    ("uid", "words"), [(None, "has no SOP Instance UID"), ("no uid", "SOP Instance UID is no UID")]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_data_set_without_a_usable_uid_is_kept_and_quarantined(
    uid: str | None, words: str, run: Any, make_dx: Any
) -> None:
    node, dataset = run(), make_dx()
    if uid is None:
        del dataset.SOPInstanceUID
    else:
        dataset.SOPInstanceUID = uid
    with node.association() as association:
        assert association.send_c_store(node.raw_file(node.explicit(dataset))).Status == 0x0000

    assert node.job().state is State.QUARANTINED
    assert words in node.job().reason
    assert node.files() == [node.job().path]


def test_image_in_a_context_of_another_service_ends_the_association(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx(64, 64)
    association = node.associate()
    [other] = [each for each in association.accepted_contexts if each.abstract_syntax == VERIFICATION]
    for piece in fragments(node, association, dataset):
        [(_own, content)] = piece.presentation_data_value_list
        piece.presentation_data_value_list = [[other.context_id, content]]
        association.dul.send_pdu(piece)
    wait_until(lambda: not association.is_established)
    assert (node.files(), node.store.jobs()) == ([], [])


def test_request_without_a_data_set_is_answered(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx(64, 64)
    association = node.associate()
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == dataset.SOPClassUID)
    request, message = C_STORE(), C_STORE_RQ()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    message.primitive_to_message(request)
    association._reactor_checkpoint.clear()  # so that nobody else takes the response
    wait_until(lambda: association._is_paused)
    for piece in message.encode_msg(context.context_id, 16_382):
        association.dul.send_pdu(piece)
    _context_id, response = association.dimse.msg_queue.get(timeout=DEADLINE_S)
    association._reactor_checkpoint.set()
    assert (response.Status, response.MessageIDBeingRespondedTo) == (0xC000, 7)
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_data_set_cut_short_in_its_pixels_is_kept(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    path = node.raw_file(node.explicit(dataset)[:-1000], uid=dataset.SOPInstanceUID)
    with node.association() as association:
        assert association.send_c_store(path).Status == 0x0000

    assert node.job().state is State.QUEUED


def test_object_over_the_limit_is_refused_with_the_limit(run: Any, make_dx: Any) -> None:
    node = run(max_object_bytes=1_048_576)
    with node.association() as association:
        response = association.send_c_store(make_dx(1024, 1024))
        assert (response.Status, response.ErrorComment) == (0xC000, "more than 1048576 bytes")
        assert association.send_c_store(make_dx()).Status == 0x0000

    assert node.files() == [node.job().path]


# ---- when the node cannot keep anything


def test_disk_that_sinks_below_its_reserve_means_try_again_later(
    run: Any, make_dx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = run(disk_reserve_mb=1)
    with node.association() as association:
        monkeypatch.setattr(node.spool, "free_bytes", lambda: 0)
        response = association.send_c_store(make_dx(1024, 1024))
        assert response.Status == 0xA700
        assert "disk is full" in response.ErrorComment
        assert association.send_c_echo().Status == 0x0000

    assert (node.files(), node.store.jobs()) == ([], [])


def test_data_folder_that_is_away_means_try_again_later(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    node.spool.set_owner("ours", 0)
    node.spool.expect("ours")
    owner = node.spool.root / OWNER_FILE
    with node.association() as association:
        owner.rename(owner.with_name("away"))
        response = association.send_c_store(dataset)
        assert response.Status == 0xA700
        assert "the data folder is away" in response.ErrorComment
        assert (node.files(), node.store.jobs()) == ([], [])
        owner.with_name("away").rename(owner)
        assert association.send_c_store(dataset).Status == 0x0000

    assert node.files() == [node.job().path]


@pytest.mark.usefixtures("_files_of_at_most_a_megabyte")
def test_disk_that_fills_up_on_the_way_means_try_again_later(run: Any, make_dx: Any) -> None:
    node = run()
    with node.association() as association:
        assert association.send_c_store(make_dx(1024, 1024)).Status == 0xA700
        assert association.send_c_store(make_dx()).Status == 0x0000

    assert node.files() == [node.job().path]


def test_database_that_is_gone_means_try_again_later(tmp_path: Path, run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    gone = JobStore(engine_for("postgresql://nobody@127.0.0.1:1/gone", tmp_path))
    deaf = Listener(node.settings, node.spool, gone)
    with node.listening_with(deaf), node.association() as association:
        assert association.send_c_store(dataset).Status == 0xA700

    with node.association() as association:
        assert association.send_c_store(dataset).Status == 0x0000
    assert node.files() == [node.job().path]


def test_mistake_of_ours_is_answered_and_sending_again_helps(run: Any, make_dx: Any) -> None:
    node, dataset = run(), make_dx()
    mistaken = Listener(node.settings, node.spool, node.store, lambda: 1 / 0)
    with node.listening_with(mistaken), node.association() as association:
        assert [association.send_c_store(dataset).Status for _ in range(2)] == [0xA700, 0x0000]

    assert node.job().state is State.QUEUED


@pytest.mark.usefixtures("_files_are_sent_as_they_are")
def test_mistake_beside_the_answer_ends_the_association_and_leaves_no_file(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = run()
    monkeypatch.setattr(node.listener.traffic, "answered", lambda *_: 1 / 0)
    association = node.associate()
    assert association.send_c_store(node.raw_file(b"noise")).get("Status") is None
    wait_until(lambda: not association.is_established)
    assert node.files() == []
