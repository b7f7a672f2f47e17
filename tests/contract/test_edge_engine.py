"""What only the embedded engine promises: locks, killed processes, damaged folders, full disks."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chunking.errors import CollectionNotFound, StoreError, StoreLocked
from retrieval.edge.engine import EdgeEngine
from tests.contract.workbench import ids, point, point_id, random_points, unit

ROOT = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from pathlib import Path
from retrieval.edge.engine import EdgeEngine
sys.argv = ["/somewhere/windowfit", "serve", "--question", "secret"]
engine = EdgeEngine(Path(sys.stdin.readline().strip()))
print("held", flush=True)
sys.stdin.read()
"""

WRITER = """
import sys
from pathlib import Path
import numpy as np
from retrieval.edge.engine import EdgeEngine
from retrieval.points import Point
root, first = sys.argv[1:]
store = EdgeEngine(Path(root)).create("killed", dimension=16, indexed=("kind",))
number, vector = int(first), np.ones(16, dtype=np.float32)
while True:
    batch = range(number, number + 100)
    store.upsert([Point(f"{i:032x}", {"kind": "chunk", "text": "t" * 300}, vector) for i in batch])
    number += 100
    print(number, flush=True)
"""


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestEdgeEngine:
    """What only the embedded engine promises."""

    def test_a_second_process_is_told_who_holds_the_store(self, tmp_path: Path) -> None:
        with child(HOLDER) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            holder.stdin.write(f"{tmp_path}\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(
                StoreLocked, match=rf"process {holder.pid} \(windowfit serve, since"
            ):
                EdgeEngine(tmp_path)
            lock = json.loads((tmp_path / "LOCK").read_text("utf-8"))
            assert lock.keys() == {"pid", "command", "started"}
            assert "secret" not in str(lock)
            holder.kill()
        EdgeEngine(tmp_path).close()

    def test_a_second_engine_in_one_process_is_refused_until_the_first_is_closed(
        self, tmp_path: Path
    ) -> None:
        engine = EdgeEngine(tmp_path)
        with pytest.raises(StoreLocked, match=f"process {os.getpid()} "):
            EdgeEngine(tmp_path)
        engine.close()
        engine.close()
        EdgeEngine(tmp_path).close()

    def test_ten_kills_lose_no_acknowledged_batch(self, tmp_path: Path) -> None:
        chance = random.Random(11)
        acknowledged = 0
        for _ in range(10):
            with child(WRITER, str(tmp_path), str(acknowledged)) as writer:
                assert writer.stdout is not None
                for _ in range(chance.randint(1, 30)):
                    acknowledged = int(writer.stdout.readline())
                time.sleep(chance.random() / 50)
                writer.kill()
                acknowledged = max(acknowledged, *map(int, writer.stdout.read().split()), 0)
            engine = EdgeEngine(tmp_path)
            store = engine.open("killed")
            found = set(ids(store.scroll(where={"kind": ["chunk"]})))
            assert {point_id(i) for i in range(acknowledged)} <= found
            hits = store.query(np.ones(16, dtype=np.float32), limit=len(found) + 1, where={})
            assert set(ids(hits)) == found
            engine.close()

    def test_a_collection_half_made_or_half_dropped_by_a_killed_process_is_swept(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / ".building-c" / "segments").mkdir(parents=True)
        (tmp_path / ".dropped-d").mkdir()
        (tmp_path / "c").mkdir()
        engine = EdgeEngine(tmp_path)
        assert engine.collections() == ()
        assert not list(tmp_path.glob(".*"))
        with pytest.raises(CollectionNotFound):
            engine.open("c")
        engine.create("c", dimension=4, indexed=("kind",)).upsert([point(1, unit(0))])
        assert engine.collections() == ("c",)
        engine.close()

    @pytest.mark.parametrize("damaged", ["collection.json", "edge_config.json"])
    def test_a_damaged_collection_is_a_store_error_and_can_be_dropped(
        self, tmp_path: Path, damaged: str
    ) -> None:
        engine = EdgeEngine(tmp_path)
        engine.create("c", dimension=4, indexed=())
        engine.close()
        (tmp_path / "c" / damaged).write_text("{", "utf-8")
        engine = EdgeEngine(tmp_path)
        with pytest.raises(StoreError, match="'c'") as caught:
            engine.open("c")
        assert caught.value.__cause__ is not None
        engine.drop("c")
        engine.close()
        assert not (tmp_path / "c").exists()

    def test_a_nearly_full_disk_is_refused_before_the_engine_writes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = EdgeEngine(tmp_path)
        store = engine.create("c", dimension=4, indexed=())
        with monkeypatch.context() as full:
            usage = SimpleNamespace(free=5 * 1024 * 1024)
            full.setattr(shutil, "disk_usage", lambda _: usage)
            for write in (
                lambda: store.upsert([point(1, unit(0))]),
                lambda: engine.create("d", dimension=4, indexed=()),
            ):
                with pytest.raises(StoreError, match="5 MiB free, 256 MiB needed"):
                    write()
            assert store.count(where={}) == 0
        engine.close()

    def test_a_folder_that_cannot_be_made_is_a_store_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot open the store") as caught:
            EdgeEngine(tmp_path / "file")
        assert isinstance(caught.value.__cause__, OSError)

    def test_a_closed_engine_says_so(self, tmp_path: Path) -> None:
        engine = EdgeEngine(tmp_path)
        store = engine.create("c", dimension=4, indexed=())
        engine.close()
        with pytest.raises(StoreError, match="closed"):
            engine.collections()
        with pytest.raises(StoreError, match="cannot count points"):
            store.count(where={})

    def test_closing_gives_back_the_room_of_deleted_points(self, tmp_path: Path) -> None:
        def used() -> int:
            return sum(f.stat().st_blocks * 512 for f in (tmp_path / "c/segments").rglob("*"))

        engine = EdgeEngine(tmp_path)
        store = engine.create("c", dimension=256, indexed=())
        store.upsert(random_points(6000, dimension=256))
        store.delete([point_id(i) for i in range(5500)])
        before = used()
        engine.close()
        assert used() < before / 2
        reopened = EdgeEngine(tmp_path)
        assert ids(reopened.open("c").scroll(where={})) == [point_id(i) for i in range(5500, 6000)]
        reopened.close()
