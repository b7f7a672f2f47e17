"""Jobs over HTTP and in a shell: one for each key, durable once accepted, taken up after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from chunking.errors import InputError, StoreError
from ingest import service, worker
from ingest.job_store import JobStore
from ingest.jobs import Job, JobError
from ingest.presence import Presence
from ingest.routes import mount_jobs
from ingest.tally import IngestReport
from ingest.work import record_job
from retrieval.edge.engine import EdgeEngine
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter
from serve.app import create_app
from serve.backends.scripted import ScriptedBackend
from tests.serving import SETTINGS, fill, mistral, small_runtime
from tests.unit.ingest.jobs_bench import died

ROOT = Path(__file__).parents[2]
SENT: dict[str, Any] = {
    "collection": "sent",
    "documents": [
        {"id": "peru", "text": "# Peru\n\nCapital: Lima\n", "media_type": "text/markdown"},
        {"id": "chad", "text": "Chad lies in Africa.", "title": "Chad", "date": "2026-01-02"},
    ],
}
WAIT_SECONDS = 60


def app_of(engine: Engine, sources: Path | None = None) -> FastAPI:
    settings = IndexSettings(embedder="hash:64", tokenizers=(), job_sources=sources)
    runtime = small_runtime(ScriptedBackend(()), engine=engine)
    return create_app(runtime, SETTINGS, mounts=[partial(mount_jobs, settings=settings)])


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources" / "reports"
    folder.mkdir(parents=True)
    (folder / "good.md").write_text("# Good\n\nText.")
    (folder / "bad.txt").write_text(" ")
    return folder.parent


@pytest.fixture
def client(engine: MemoryEngine, sources: Path) -> Iterator[TestClient]:
    with TestClient(app_of(engine, sources), raise_server_exceptions=False) as opened:
        yield opened


def ended(client: Any, job_id: str) -> dict[str, Any]:
    """Return a job once it came to an end, as a service sees to it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(f"/jobs/{job_id}").json()
        if job["state"] in {"done", "partial", "failed"}:
            return job
        time.sleep(0.02)
    pytest.fail("the job does not end")


def submit(client: TestClient, body: Mapping[str, Any], key: str | None = None) -> Any:
    return client.post("/jobs", json=body, headers={"Idempotency-Key": key} if key else {})


# --- one job for each key


def test_a_job_is_accepted_before_it_is_done_and_says_where_it_is(client: TestClient) -> None:
    response = submit(client, SENT)

    job = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/jobs/{job['id']}"
    assert job["state"] == "queued"
    done = ended(client, job["id"])
    assert (done["state"], done["attempts"], done["counts"]["written"]) == ("done", 1, 2)
    assert done["submitted"] <= done["started"] <= done["ended"]


def test_the_same_request_again_replays_the_job_and_runs_nothing(client: TestClient) -> None:
    first = submit(client, SENT, "k").json()
    done = ended(client, first["id"])

    again = submit(client, SENT, "k")

    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.headers["location"] == f"/jobs/{first['id']}"
    assert again.json() == done
    assert len(client.get("/jobs").json()["jobs"]) == 1


def test_a_job_labels_its_documents_and_each_may_state_more(
    client: TestClient, engine: MemoryEngine
) -> None:
    peru, chad = SENT["documents"]
    body = {
        **SENT,
        "sensitivity": "confidential",
        "documents": [peru, dict(chad, sensitivity="public")],
    }
    accepted = submit(client, body, "k").json()
    assert accepted["sensitivity"] == "confidential"
    assert ended(client, accepted["id"])["state"] == "done"
    stated = [dict(peru, sensitivity="restricted"), chad]
    done = ended(client, submit(client, {**SENT, "documents": stated}).json()["id"])

    assert done["sensitivity"] is None
    assert done["counts"]["embedded_chunks"] == 0
    found = {hit.chunk.document: hit.chunk.sensitivity for hit in Index.open(engine, "sent").read()}
    assert found == {"peru": "restricted", "chad": "confidential"}


def test_a_label_is_part_of_what_a_key_asks_for(client: TestClient) -> None:
    ended(client, submit(client, SENT, "k").json()["id"])
    response = submit(client, {**SENT, "sensitivity": "restricted"}, "k")
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_conflict")


def test_a_source_is_labelled_and_a_retry_keeps_to_it(
    client: TestClient, engine: MemoryEngine, sources: Path
) -> None:
    body = {"collection": "c", "source": "reports", "sensitivity": "restricted"}
    job_id = submit(client, body).json()["id"]
    assert ended(client, job_id)["state"] == "partial"
    (sources / "reports" / "bad.txt").write_text("Good now.")
    client.post(f"/jobs/{job_id}/retry")
    assert ended(client, job_id)["state"] == "done"

    records = Index.open(engine, "c").records().values()
    assert [record.sensitivity for record in records] == ["restricted", "restricted"]


def test_another_request_under_the_key_is_a_conflict(client: TestClient) -> None:
    ended(client, submit(client, SENT, "k").json()["id"])

    response = submit(client, {**SENT, "prune": True}, "k")

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_conflict")
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("fate", ["interrupted", "failed"])
def test_a_key_whose_job_did_not_come_to_its_end_has_it_go_on(
    client: TestClient, engine: MemoryEngine, fate: str
) -> None:
    body = {"collection": "c", "source": "reports"}
    first = ended(client, submit(client, body, "k").json()["id"])
    _undo(JobStore(engine), first["id"], fate, retryable=True)

    again = submit(client, body, "k")

    assert (again.status_code, again.json()["state"]) == (202, "queued")
    assert "idempotency-replayed" not in again.headers
    assert again.headers["location"] == f"/jobs/{first['id']}"
    last = ended(client, first["id"])
    assert (last["state"], last["attempts"]) == ("partial", 2)
    assert submit(client, body, "k").status_code == 200


def test_a_key_whose_job_failed_for_good_replays_it(
    client: TestClient, engine: MemoryEngine
) -> None:
    first = ended(client, submit(client, SENT, "k").json()["id"])
    _undo(JobStore(engine), first["id"], "failed", retryable=False)

    again = submit(client, SENT, "k")

    assert (again.status_code, again.json()["state"]) == (200, "failed")


def _undo(store: JobStore, job_id: str, fate: str, *, retryable: bool) -> None:
    """Record that a job which ended was interrupted, or failed."""
    job = store.find(job_id)
    if fate == "failed":
        error = JobError("some_code", "why", "a way out", retryable)
        store.advance(job, state="failed", error=error)
    else:
        with Presence(store.ledger) as shown:
            store.advance(job, state="running", holder=died(shown.holder))


def test_without_a_key_each_request_is_a_job(client: TestClient) -> None:
    ids = {submit(client, SENT).json()["id"] for _ in range(3)}

    assert len(ids) == 3
    states = [ended(client, job_id) for job_id in ids]
    assert sum(job["counts"]["written"] for job in states) == 2


@pytest.mark.parametrize("key", ["", "\u00e9", "x" * 256, "a\tb"])
def test_a_key_is_printable_ascii(client: TestClient, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1")}

    response = client.post("/jobs", json=SENT, headers=headers)

    assert (response.status_code, response.json()["code"]) == (422, "validation_error")


@pytest.mark.parametrize("kind", ["memory", "edge"])
def test_of_a_hundred_simultaneous_equal_requests_one_becomes_a_job(
    kind: str, tmp_path: Path
) -> None:
    engine: Engine = MemoryEngine() if kind == "memory" else EdgeEngine(tmp_path / "store")
    app = app_of(engine)

    async def send_all() -> tuple[list[httpx.Response], dict[str, Any], int]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            headers = {"Idempotency-Key": "nightly"}
            sends = (client.post("/jobs", json=SENT, headers=headers) for _ in range(100))
            responses = await asyncio.gather(*sends)
            [job] = (await client.get("/jobs")).json()["jobs"]
            while job["state"] in {"queued", "running"}:
                await asyncio.sleep(0.02)
                job = (await client.get(f"/jobs/{job['id']}")).json()
            index = Index.open(engine, "sent")
            return responses, job, index.stored_chunk_count()

    responses, job, stored = asyncio.run(send_all())

    statuses = Counter(response.status_code for response in responses)
    assert statuses[202] == 1
    assert set(statuses) <= {202, 200, 409}
    refused = [response.json() for response in responses if response.status_code == 409]
    assert all(
        (one["code"], job["id"] in one["detail"]) == ("job_in_flight", True) for one in refused
    )
    assert (job["state"], job["attempts"]) == ("done", 1)
    assert stored == job["counts"]["embedded_chunks"] == job["counts"]["collection_chunks"] > 0


# --- what may be asked for


@pytest.mark.parametrize(
    "body",
    [
        {"collection": "c"},
        {"collection": "c", "source": "reports", "documents": SENT["documents"]},
        {"collection": "c", "documents": []},
        {"collection": "c", "documents": [{"id": "a"}]},
        {"collection": "c", "documents": [{"id": "a", "text": "b", "media_type": "image/png"}]},
        {"collection": "c", "source": "reports", "sources": "reports"},
        {"collection": "no/name", "source": "reports"},
        {"collection": "windowfit.ledger", "source": "reports"},
        {"collection": "c", "source": "../sources/reports"},
        {"collection": "c", "source": "/etc/passwd"},
        {"collection": "c", "source": "nothing"},
        {"collection": "c", "source": "-"},
        {"collection": "c", "source": "reports", "sensitivity": "restrcted"},
        {"collection": "c", "documents": [{"id": "a", "text": "b", "sensitivity": "secret"}]},
    ],
)
def test_what_cannot_be_done_is_refused_and_no_job_is_made(
    client: TestClient, body: dict[str, Any]
) -> None:
    response = submit(client, body)

    assert (response.status_code, response.json()["code"]) == (422, "validation_error")
    assert client.get("/jobs").json() == {"jobs": []}


def test_without_a_folder_of_sources_documents_are_taken_and_paths_are_not(
    engine: MemoryEngine,
) -> None:
    with TestClient(app_of(engine)) as client:
        refused = submit(client, {"collection": "c", "source": "reports"})
        accepted = submit(client, SENT)

        assert refused.status_code == 422
        assert "job_sources" in refused.json()["detail"]
        assert ended(client, accepted.json()["id"])["state"] == "done"


def test_no_answer_tells_a_path_of_the_machine(client: TestClient, sources: Path) -> None:
    body = {"collection": "c", "source": "reports"}
    job_id = submit(client, body).json()["id"]
    ended(client, job_id)
    texts = [client.get(place).text for place in ("/jobs", f"/jobs/{job_id}")]
    texts.append(submit(client, {**body, "source": "reports/nothing"}).text)

    assert not [text for text in texts if str(sources) in text]
    assert client.get(f"/jobs/{job_id}").json()["source"] == "reports"


def test_jobs_are_listed_newest_first_by_collection_and_limit(client: TestClient) -> None:
    ids = [submit(client, {**SENT, "collection": name}).json()["id"] for name in ("a", "b", "a")]

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/jobs{query}").json()["jobs"]]

    assert listed("") == ids[::-1]
    assert listed("?collection=a") == [ids[2], ids[0]]
    assert listed("?limit=1") == ids[2:]
    assert client.get("/jobs?limit=0").status_code == 422


def test_the_records_of_jobs_are_no_model_and_no_collection(
    client: TestClient, engine: MemoryEngine
) -> None:
    fill(engine, counter=mistral())
    ended(client, submit(client, SENT).json()["id"])

    models = {card["collection"] for card in client.get("/v1/models").json()["data"]}

    assert models == {None, "sent", "small"}


# --- resume and retry


def test_a_quarantined_document_is_retried_once_it_is_repaired(
    client: TestClient, sources: Path
) -> None:
    job_id = submit(client, {"collection": "c", "source": "reports"}).json()["id"]
    first = ended(client, job_id)
    assert (first["state"], first["counts"]["quarantined"]) == ("partial", 1)
    assert [one["name"] for one in first["quarantined"]] == ["reports/bad.txt"]
    (sources / "reports" / "bad.txt").write_text("Now it is text.")

    response = client.post(f"/jobs/{job_id}/retry")

    assert response.status_code == 202
    assert response.headers["location"] == f"/jobs/{job_id}"
    done = ended(client, job_id)
    assert (done["state"], done["attempts"], done["quarantined"]) == ("done", 2, [])
    assert (done["counts"]["files"], done["counts"]["written"]) == (2, 2)
    assert client.post(f"/jobs/{job_id}/retry").json()["code"] == "job_not_resumable"


def test_a_job_that_failed_says_why_and_is_resumed(
    client: TestClient, engine: MemoryEngine
) -> None:
    # The collection was built with another splitter, until it is dropped.
    fill(engine, counter=mistral())
    job_id = submit(client, {**SENT, "collection": "small"}).json()["id"]
    failed = ended(client, job_id)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "embedding_model_mismatch")
    engine.drop("small")

    assert client.post(f"/jobs/{job_id}/resume").status_code == 202

    done = ended(client, job_id)
    assert (done["state"], done["error"], done["counts"]["written"]) == ("done", None, 2)
    assert client.post(f"/jobs/{job_id}/resume").json()["code"] == "job_not_resumable"


def test_the_log_tells_when_a_job_begins_and_how_it_ends_and_no_text_nor_path(
    client: TestClient, sources: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "windowfit.ingest")
    asked = ({"collection": "c", "source": "reports"}, SENT)

    ids = [ended(client, submit(client, body).json()["id"])["id"] for body in asked]
    told = _logged(caplog, 4)

    assert [(event, fields["job"], fields["state"]) for event, fields in told] == [
        ("job begun", ids[0], "running"),
        ("job ended", ids[0], "partial"),
        ("job begun", ids[1], "running"),
        ("job ended", ids[1], "done"),
    ]
    assert [fields["collection"] for _, fields in told] == ["c", "c", "sent", "sent"]
    assert told[1][1]["counts"]["quarantined"] == 1
    text = json.dumps(told)
    assert not [one for one in (str(sources), "bad.txt", "Lima") if one in text]


def _logged(caplog: pytest.LogCaptureFixture, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the first lines of the log of jobs, of which the last may come a moment later."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        lines = [one for one in caplog.records if one.name == "windowfit.ingest"]
        if len(lines) >= count or time.monotonic() > deadline:
            return [(one.getMessage(), vars(one)["fields"]) for one in lines]
        time.sleep(0.02)


@pytest.mark.parametrize("verb", ["", "/resume", "/retry"])
def test_an_unknown_job_is_not_found(client: TestClient, verb: str) -> None:
    ask = client.post if verb else client.get

    response = ask(f"/jobs/nothing{verb}")

    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_a_source_that_went_away_fails_the_job_and_leaves_the_service(
    client: TestClient, sources: Path
) -> None:
    job_id = submit(client, {"collection": "c", "source": "reports"}).json()["id"]
    ended(client, job_id)
    for file in (sources / "reports").iterdir():
        file.unlink()
    client.post(f"/jobs/{job_id}/retry")

    failed = ended(client, job_id)

    assert (failed["state"], failed["error"]["code"]) == ("failed", "validation_error")
    assert str(sources) not in failed["error"]["message"]
    assert ended(client, submit(client, SENT).json()["id"])["state"] == "done"


def test_what_a_job_brought_is_answered_from_at_once(client: TestClient) -> None:
    ended(client, submit(client, SENT).json()["id"])

    # The service's own splitter is that of its runtime: the collection is found, and held against.
    response = client.post("/context/preview", json={"question": "Peru?", "collection": "sent"})

    assert response.json()["code"] == "embedding_model_mismatch"


def test_a_job_that_the_store_kept_without_saying_so_is_carried_out_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)
    find = JobStore.find
    failures = iter([StoreError("the answer was lost")])

    def lose(store: JobStore, job_id: str) -> Job:
        recorded = find(store, job_id)
        for failure in failures:
            raise failure
        return recorded

    with TestClient(app_of(MemoryEngine())) as client:
        monkeypatch.setattr(JobStore, "find", lose)
        response = submit(client, SENT)

        assert (response.status_code, response.json()["code"]) == (503, "vector_store_unavailable")
        [job] = client.get("/jobs").json()["jobs"]
        assert ended(client, job["id"])["state"] == "done"


def test_a_job_whose_end_the_store_could_not_take_is_carried_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)
    advance = JobStore.advance
    failures = iter([StoreError("down"), StoreError("down")])

    def refuse(store: JobStore, job: Job, **changes: Any) -> Job:
        if changes["state"] in {"done", "failed"}:
            for failure in failures:
                raise failure
        return advance(store, job, **changes)

    monkeypatch.setattr(JobStore, "advance", refuse)
    with TestClient(app_of(MemoryEngine())) as client:
        done = ended(client, submit(client, SENT).json()["id"])

    assert (done["state"], done["attempts"]) == ("done", 2)
    assert (done["counts"]["written"], done["counts"]["unchanged"]) == (0, 2)


def test_a_job_whose_collection_is_held_waits_and_lets_others_pass(
    client: TestClient, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DEFER_SECONDS", 0.05)
    ended(client, submit(client, SENT).json()["id"])
    with IndexWriter(Index.open(engine, "sent")):
        held = submit(client, SENT).json()["id"]
        other = submit(client, {**SENT, "collection": "other"}).json()["id"]
        assert ended(client, other)["state"] == "done"
        time.sleep(0.2)
        waiting = client.get(f"/jobs/{held}").json()

    done = ended(client, held)

    assert (waiting["state"], waiting["attempts"], waiting["error"]) == ("queued", 0, None)
    assert (done["state"], done["attempts"]) == ("done", 1)


def test_a_job_that_fails_before_it_begins_leaves_its_collection_free(
    client: TestClient, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: IndexSettings) -> None:
        raise StoreError("no tokenizer")

    monkeypatch.setattr(service, "load_counters", fail)
    job = ended(client, submit(client, SENT).json()["id"])

    assert job["state"] == "failed"
    with IndexWriter(Index.open(engine, "sent")) as writer:
        assert writer.records == {}


def test_the_source_of_a_command_is_shown_by_its_name_alone(
    client: TestClient, engine: MemoryEngine, tmp_path: Path
) -> None:
    def fail() -> IngestReport:
        raise InputError(f"no source '{tmp_path}/private'")

    with pytest.raises(InputError):
        record_job(
            JobStore(engine), fail, collection="c", source=f"{tmp_path}/private", prune=False
        )

    text = client.get("/jobs").text
    job_id = json.loads(text)["jobs"][0]["id"]

    assert str(tmp_path) not in text
    assert "no source 'private'" in text
    # Nor does the service read it.
    refused = client.post(f"/jobs/{job_id}/resume")
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_error")


@pytest.mark.parametrize("folder", ["private", "my private things"])
def test_a_name_that_is_taken_by_another_file_tells_no_path_of_the_machine(
    engine: MemoryEngine, sources: Path, tmp_path: Path, folder: str
) -> None:
    other = tmp_path / folder / "reports"
    other.mkdir(parents=True)
    (other / "good.md").write_text("# Another\n\nText.")
    body = {"collection": "c", "source": "reports"}
    with TestClient(app_of(engine, other.parent)) as client:
        ended(client, submit(client, body).json()["id"])
    with TestClient(app_of(engine, sources)) as client:
        job = ended(client, submit(client, body).json()["id"])

    [_, refused] = sorted(job["quarantined"], key=lambda one: str(one["name"]))
    told = "reports/good.md: this name is taken in the collection by good.md"
    assert refused["reason"] == told
    assert folder not in json.dumps(job)


# --- processes that die


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WINDOWFIT_")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "WINDOWFIT_HOME": str(tmp_path / "home"),
        "WINDOWFIT_EMBEDDER": "hash:64",
        "WINDOWFIT_TOKENIZERS": "[]",
    }


def command(environment: dict[str, str], folder: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "windowfit", *arguments, "--json"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_killed_run_is_resumed_under_its_id_from_another_folder(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number in range(1000):
        (files / f"{number}.txt").write_text(f"Number {number} says {number * 7}. " * 40)
    run = ["ingest", "run", "files", "--collection", "c", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "windowfit", *run],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        assert "progress" in child.stderr.readline()
        child.kill()

    left = command(environment, tmp_path, "ingest", "status", "--collection", "c")
    [job] = command(environment, Path("/"), "ingest", "resume")["jobs"]
    whole = command(environment, tmp_path, "ingest", "status", "--collection", "c")

    assert left["last_job"]["state"] == "interrupted"
    assert 0 < left["documents"] < 1000
    assert (job["id"], job["state"], job["attempts"]) == (left["last_job"]["id"], "done", 2)
    assert job["counts"]["unchanged"] >= left["documents"] > 0
    assert (whole["documents"], whole["hidden_chunks"], whole["swept"]) == (1000, 0, True)
    assert command(environment, tmp_path, "ingest", "resume") == {"jobs": [], "failed": []}
    assert command(environment, tmp_path, "ingest", "verify", "--collection", "c")["intact"]


def shell(
    environment: dict[str, str], folder: Path, *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "windowfit", "ingest", *arguments],
        env=environment,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


def test_in_a_shell_quarantined_files_are_retried_and_the_codes_say_what_is_left(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "good.md").write_text("# Good\n\nText.")
    (files / "bad.txt").write_text(" ")
    (files / "worse.txt").write_text(" ")

    assert shell(environment, tmp_path, "run", "files", "--collection", "c").returncode == 3
    (files / "bad.txt").write_text("Now it is text.")
    again = shell(environment, tmp_path, "retry", "--collection", "c", "--json")
    (files / "worse.txt").write_text("Now it is, too.")
    last = shell(environment, tmp_path, "retry", "--collection", "c", "--json")
    none = shell(environment, tmp_path, "retry", "--collection", "c")

    assert (again.returncode, last.returncode, none.returncode) == (3, 0, 0)
    [job] = json.loads(again.stdout)["jobs"]
    assert [one["name"] for one in job["quarantined"]] == ["files/worse.txt"]
    assert json.loads(last.stdout)["jobs"][0]["counts"]["written"] == 3
    assert "nothing to retry" in none.stdout


def test_in_a_shell_a_job_that_cannot_go_on_is_not_said_to_have_ended(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "bad.txt").write_text(" ")
    assert shell(environment, tmp_path, "run", "bad.txt", "--collection", "c").returncode == 3
    (tmp_path / "bad.txt").unlink()

    shell(environment, tmp_path, "retry", "--collection", "c")
    told = shell(environment, tmp_path, "resume")
    as_json = shell(environment, tmp_path, "resume", "--json")

    assert (told.returncode, as_json.returncode) == (2, 2)
    assert "nothing to" not in told.stdout
    [failed] = json.loads(as_json.stdout)["failed"]
    assert failed["code"] == "validation_error"
    assert failed["id"] in told.stdout


def test_in_a_shell_a_rebuild_is_not_resumed_under_other_settings(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    rebuild = ["run", "a.md", "--collection", "c", "--rebuild"]
    (tmp_path / "a.md").write_text("# A\n\nText.")
    shell(environment, tmp_path, "run", "a.md", "--collection", "c")
    assert shell(environment, tmp_path, *rebuild).returncode == 0
    engine = EdgeEngine(tmp_path / "home" / "index")
    store = JobStore(engine)
    store.advance(store.jobs()[0], state="failed", error=JobError("c", "m", "h", retryable=True))
    engine.close()
    other = {**environment, "WINDOWFIT_EMBEDDER": "hash:128"}

    refused = shell(other, tmp_path, "resume", "--json")
    resumed = shell(environment, tmp_path, "resume", "--json")

    [failed] = json.loads(refused.stdout)["failed"]
    assert (refused.returncode, failed["code"]) == (2, "embedding_model_mismatch")
    assert "embedder hash:64" in refused.stderr
    [job] = json.loads(resumed.stdout)["jobs"]
    assert (job["id"], job["state"]) == (failed["id"], "done")


def test_in_a_shell_a_job_of_standard_input_is_said_to_need_it_again(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    line = json.dumps({"id": "a", "text": " "})
    run = ["run", "-", "--collection", "c"]
    assert shell(environment, tmp_path, *run, given=f"{line}\n").returncode == 3

    refused = shell(environment, tmp_path, "retry", "--collection", "c")

    assert refused.returncode == 2
    assert "standard input" in refused.stderr
    assert "run the ingestion again" in refused.stderr


@pytest.mark.parametrize("verb", ["resume", "retry"])
def test_in_a_shell_a_collection_that_is_not_there_is_no_success(
    tmp_path: Path, environment: dict[str, str], verb: str
) -> None:
    (tmp_path / "a.md").write_text("# A\n\nText.")
    shell(environment, tmp_path, "run", "a.md", "--collection", "c")

    known = shell(environment, tmp_path, verb, "--collection", "c")
    mistaken = shell(environment, tmp_path, verb, "--collection", "typo")

    assert (known.returncode, mistaken.returncode) == (0, 2)
    assert "nothing to" in known.stdout
    assert "nothing to" not in mistaken.stdout
    assert "typo" in mistaken.stderr


def test_what_a_collection_holds_is_told_without_its_embedder(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "a.md").write_text("# A\n\nText.")
    shell(environment, tmp_path, "run", "a.md", "--collection", "c")
    other = {**environment, "WINDOWFIT_EMBEDDER": "sentence-transformers:not-there"}

    told = command(other, tmp_path, "ingest", "status", "--collection", "c")

    assert (told["documents"], told["last_job"]["state"]) == (1, "done")
    removed = command(environment, tmp_path, "ingest", "rm", "a.md", "--collection", "c")
    assert removed == {"collection": "c", "removed": ["a.md"], "removed_chunks": 1}


class Service:
    """A real service in a process of its own."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "windowfit", "serve", "--port", "0"],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[2]

    def ask(self, path: str, body: Mapping[str, Any] | None = None, key: str = "k") -> Any:
        """Return the JSON of an answer, asked for until the service answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "Idempotency-Key": key}
        request = urllib.request.Request(f"{self.url}{path}", data, headers)
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    return json.load(response)
            except urllib.error.HTTPError:
                raise
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def get(self, path: str) -> Any:
        """Return an answer as a client's does, for `ended`."""
        told = self.ask(path)
        return type("Answered", (), {"json": staticmethod(lambda: told)})

    def end(self, signal_number: signal.Signals) -> float:
        """Send a signal, and return how many seconds the process took to end."""
        started = time.monotonic()
        self.process.send_signal(signal_number)
        self.process.wait(WAIT_SECONDS)
        return time.monotonic() - started


@contextmanager
def serving(environment: dict[str, str], folder: Path) -> Iterator[Service]:
    service = Service(environment, folder)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.communicate()


@pytest.mark.network
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_an_accepted_job_survives_the_service_that_accepted_it(
    tmp_path: Path, environment: dict[str, str], ending: signal.Signals
) -> None:
    text = " ".join(f"Sentence {number} says something." for number in range(500))
    documents = [{"id": str(number), "text": f"{number}. {text}"} for number in range(120)]
    with serving(environment, tmp_path) as service:
        accepted = service.ask("/jobs", {"collection": "c", "documents": documents})
        waiting = service.ask("/jobs", {**SENT, "collection": "d"}, key="second")
        seconds = service.end(ending)

    with serving(environment, tmp_path) as service:
        jobs = [ended(service, job["id"]) for job in (accepted, waiting)]

    assert seconds < 30
    assert [job["state"] for job in jobs] == ["done", "done"]
    assert [job["counts"]["collection_documents"] for job in jobs] == [120, 2]
    assert jobs[1]["attempts"] == 1
    assert command(environment, tmp_path, "ingest", "verify", "--collection", "c")["intact"]
