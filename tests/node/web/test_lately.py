"""What was made lately is kept, and no more than may be."""

import threading

import pytest

from node.web.lately import Lately


@pytest.fixture
def kept() -> Lately[bytes]:
    return Lately[bytes](10, len)


def test_what_was_made_is_not_made_again(kept: Lately[bytes]) -> None:
    assert kept.get("a", lambda: b"one") == b"one"
    assert kept.get("a", lambda: b"two") == b"one"


def test_what_was_asked_for_longest_ago_goes_first(kept: Lately[bytes]) -> None:
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda: b"four")

    assert kept.get("a", lambda: b"anew") == b"four"
    assert kept.get("b", lambda: b"anew") == b"anew"


def test_what_is_too_large_is_given_and_not_kept(kept: Lately[bytes]) -> None:
    assert kept.get("a", lambda: b"much too large") == b"much too large"
    assert kept.get("a", lambda: b"small") == b"small"


def test_many_who_ask_at_once_have_it_made_once(kept: Lately[bytes]) -> None:
    made, barrier = [], threading.Barrier(4)

    def make() -> bytes:
        made.append(1)
        return b"one"

    def ask() -> None:
        barrier.wait()
        kept.get("a", make)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_error_is_not_kept(kept: Lately[bytes]) -> None:
    def fail() -> bytes:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        kept.get("a", fail)
    assert kept.get("a", lambda: b"back") == b"back"
