from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chunking.errors import RequestNotFound, RequestsUnavailable
from serve.requests import KeptRequest, RequestStore, open_requests
from serve.settings import ServeSettings
from tests.killed import acknowledged_before_kill

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def store(path: Path, **changes: Any) -> RequestStore:
    limits = {"limit": 100, "limit_bytes": 10**6, "days": 30, "now": lambda: NOW}
    return RequestStore(path / "requests.sqlite3", **{**limits, **changes})


def request(name: str, *, at: datetime = NOW, answer: str = "Lima") -> KeptRequest:
    return KeptRequest(name, "answer", at, {"answer": answer}, {"question": "Capital?"})


def noise(size: int) -> str:
    """Text that does not compress to less than half of its size."""
    return os.urandom(size // 2).hex()


def test_a_kept_request_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = KeptRequest("a", "preview", NOW, {"answer": "L\u00edma \ud800"}, {"ask": [1, None]})
    requests = store(tmp_path)

    assert requests.put(kept)

    assert requests.get("a") == kept
    requests.close()
    assert store(tmp_path).get("a") == kept


def test_an_unknown_id_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(RequestNotFound, match="'b'"):
        store(tmp_path).get("b")


def test_of_two_requests_with_one_id_the_later_is_kept(tmp_path: Path) -> None:
    requests = store(tmp_path, limit=2)

    for name, answer in [("a", "old"), ("b", "other"), ("a", "new"), ("c", "third")]:
        requests.put(request(name, answer=answer))

    assert requests.get("a").receipt["answer"] == "new"
    with pytest.raises(RequestNotFound):
        requests.get("b")


def test_the_oldest_go_when_there_are_more_than_the_limit(tmp_path: Path) -> None:
    requests = store(tmp_path, limit=3)

    for number in range(10):
        requests.put(request(str(number)))
        assert requests.count() <= 3

    assert [requests.get(str(number)).id for number in (7, 8, 9)] == ["7", "8", "9"]


def test_the_oldest_go_when_they_are_larger_than_the_limit(tmp_path: Path) -> None:
    requests = store(tmp_path, limit_bytes=10_000)

    for number in range(20):
        requests.put(request(str(number), answer=noise(4000)))

    assert 2 <= requests.count() <= 4
    assert requests.get("19")
    requests.close()
    assert (tmp_path / "requests.sqlite3").stat().st_size < 100_000


def test_a_record_larger_than_the_limit_is_not_kept_and_drives_no_other_out(tmp_path: Path) -> None:
    requests = store(tmp_path, limit_bytes=10_000)
    requests.put(request("small"))

    assert not requests.put(request("large", answer=noise(100_000)))

    assert requests.get("small")
    assert requests.problem is not None
    assert requests.put(request("next"))
    assert requests.problem is None


def test_a_request_is_gone_after_its_days_even_where_nothing_is_written(tmp_path: Path) -> None:
    clock = Clock()
    requests = store(tmp_path, days=2, now=clock)
    requests.put(request("a"))

    clock.now += timedelta(days=2, seconds=1)

    with pytest.raises(RequestNotFound):
        requests.get("a")
    requests.put(request("b", at=clock.now))
    assert requests.count() == 1


def test_threads_and_stores_may_write_at_once(tmp_path: Path) -> None:
    stores = [store(tmp_path, limit=1000), store(tmp_path, limit=1000)]

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda n: stores[n % 2].put(request(str(n))), range(200)))

    assert all(kept)
    assert stores[0].count() == 200
    assert all(stores[1].get(str(number)) for number in range(200))


def test_a_killed_process_loses_no_record_that_it_had_acknowledged(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.serve.test_requests import request, store\n"
        "requests = store(Path(sys.argv[1]), limit=10**6, limit_bytes=10**9)\n"
        "number = 0\n"
        "while True:\n"
        "    assert requests.put(request(str(number)))\n"
        "    print(number, flush=True)\n"
        "    number += 1\n"
    )
    acknowledged = acknowledged_before_kill(script, tmp_path)

    after = store(tmp_path, limit=10**6, limit_bytes=10**9)
    assert all(after.get(number) for number in acknowledged)
    assert after.put(request("after"))


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "requests.sqlite3").write_bytes(content)
    requests = store(tmp_path)

    assert requests.put(request("a"))

    assert requests.get("a")
    assert (tmp_path / "requests.sqlite3.damaged").read_bytes() == content


def test_a_file_damaged_while_it_is_open_fails_no_answer_and_is_replaced(tmp_path: Path) -> None:
    requests = store(tmp_path)
    for number in range(50):
        requests.put(request(str(number), answer=noise(3000)))
    requests.close()
    path = tmp_path / "requests.sqlite3"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    results = [requests.put(request(f"after {number}")) for number in range(3)]

    assert results[-1]
    assert requests.get("after 2")


def test_a_disk_that_fails_fails_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    requests = store(tmp_path / "file" / "below")

    assert requests.put(request("a")) is False

    assert requests.problem is not None
    with pytest.raises(RequestsUnavailable):
        requests.get("a")


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    assert store(tmp_path).put(request("a")) is False

    assert not (tmp_path / "requests.sqlite3.damaged").exists()


def test_a_writer_that_waits_too_long_gives_up_and_the_next_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.database._BUSY_SECONDS", 0.05)
    requests = store(tmp_path)
    requests.put(request("a"))
    other = sqlite3.connect(tmp_path / "requests.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    assert requests.put(request("b")) is False
    assert requests.get("a")
    other.execute("ROLLBACK")
    other.close()

    assert requests.put(request("b"))


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    requests = store(tmp_path)
    requests.put(request("a"))

    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_nothing_is_kept_where_the_settings_say_so(tmp_path: Path) -> None:
    assert open_requests(tmp_path, ServeSettings(keep_requests=False)) is None
    kept = open_requests(tmp_path, ServeSettings(requests_limit=1))
    assert kept is not None
    kept.put(request("a", at=datetime.now(UTC)))
    kept.put(request("b", at=datetime.now(UTC)))
    assert kept.count() == 1
