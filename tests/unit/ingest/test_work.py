"""A job is begun when it holds its collection, and ends as what happened to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.errors import InputError, StoreError, StoreLocked
from chunking.split import Splitter
from ingest.changes import Quarantined
from ingest.errors import JobInFlight, JobNotResumable
from ingest.job import Ingestion
from ingest.job_files import absolute_source, document_files, list_files
from ingest.job_store import JobStore
from ingest.jobs import Job
from ingest.presence import Presence
from ingest.tally import IngestReport
from ingest.work import (
    JobStopped,
    Repeated,
    Work,
    execute_job,
    prepare_ingestion,
    record_job,
    repeat_jobs,
    take_up,
)
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.lease import BEAT_SECONDS
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter
from tests.unit.ingest.jobs_bench import AWAY, died, recorded, report_of

BAD = Quarantined("s/bad.txt", "unreadable_document", "s/bad.txt: empty", "remove it")
EMBEDDER = HashEmbedder()
SPLITTER = Splitter(EMBEDDER.count_tokens, size=32, limit=64)


@pytest.fixture
def store() -> JobStore:
    return JobStore(MemoryEngine())


@pytest.fixture
def presence(store: JobStore) -> Iterator[Presence]:
    with Presence(store.ledger) as shown:
        yield shown


@contextmanager
def doing(ingest: Callable[[], IngestReport], *, narrowed: bool = False) -> Iterator[Work]:
    yield Work(ingest, narrowed)


def record(store: JobStore, ingest: Callable[[], IngestReport]) -> None:
    record_job(store, ingest, collection="c", source="/s", prune=False)


def test_a_run_that_ends_is_recorded_as_done_with_its_counts(store: JobStore) -> None:
    record(store, report_of)

    [job] = store.jobs()
    assert (job.state, job.attempts, job.holder) == ("done", 1, None)
    assert job.counts is not None
    assert job.counts.files == 2
    assert job.submitted <= str(job.started) <= str(job.ended)


def test_while_it_runs_the_job_says_so(store: JobStore) -> None:
    seen: list[Job] = []

    def ingest() -> IngestReport:
        seen.extend(store.jobs())
        return report_of()

    record(store, ingest)

    assert [(job.state, job.attempts) for job in seen] == [("running", 1)]


def test_quarantined_documents_make_a_job_partial(store: JobStore) -> None:
    record(store, lambda: report_of(written=1, quarantined=(BAD,)))

    [job] = store.jobs()
    assert job.state == "partial"
    assert store.find(job.id).quarantined == (BAD,)


def test_a_failure_is_recorded_with_its_way_out_and_raised(store: JobStore) -> None:
    def ingest() -> IngestReport:
        raise StoreLocked("held by another", hint="wait")

    with pytest.raises(StoreLocked):
        record(store, ingest)

    [job] = store.jobs()
    assert job.state == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.hint, job.error.retryable) == ("store_locked", "wait", True)


def test_a_defect_is_recorded_without_its_text(store: JobStore) -> None:
    def ingest() -> IngestReport:
        raise ValueError("the text of a document")

    with pytest.raises(ValueError, match="text"):
        record(store, ingest)

    [job] = store.jobs()
    assert job.error is not None
    assert job.error.code == "internal_error"
    assert "text of a document" not in str(job.error)


def test_an_interrupted_run_leaves_a_job_that_reads_as_interrupted(store: JobStore) -> None:
    def ingest() -> IngestReport:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(store, ingest)

    assert [job.state for job in store.jobs()] == ["interrupted"]


def test_a_stopped_job_waits_again_and_has_spent_no_attempt(
    store: JobStore, presence: Presence
) -> None:
    def ingest() -> IngestReport:
        raise JobStopped

    job = recorded(store, presence.holder)
    with pytest.raises(JobStopped):
        execute_job(job, store, lambda: doing(ingest))

    assert [(job.state, job.attempts) for job in store.jobs()] == [("queued", 0)]


def test_a_job_that_another_process_took_up_is_not_run(store: JobStore, presence: Presence) -> None:
    job = recorded(store, presence.holder)
    store.advance(job, state="running")

    with pytest.raises(JobInFlight):
        execute_job(job, store, lambda: doing(lambda: pytest.fail("ran")))

    assert [job.state for job in store.jobs()] == ["running"]


def test_a_job_whose_collection_is_held_fails_before_it_is_begun(
    store: JobStore, presence: Presence
) -> None:
    def locked() -> AbstractContextManager[Work]:
        raise StoreLocked("held")

    with pytest.raises(StoreLocked):
        execute_job(recorded(store, presence.holder), store, locked)

    assert [(job.state, job.attempts) for job in store.jobs()] == [("failed", 0)]


# --- taking up


@pytest.mark.parametrize("state", ["running", "queued", "failed"])
def test_what_broke_off_is_queued_again_under_its_id(
    store: JobStore, presence: Presence, state: str
) -> None:
    job = recorded(store, died(presence.holder), state=state)

    queued = take_up(job, store, presence)

    assert (queued.id, queued.state, queued.holder) == (job.id, "queued", presence.holder)


def test_a_job_of_a_live_process_is_not_taken_from_it(store: JobStore, presence: Presence) -> None:
    with pytest.raises(JobInFlight):
        take_up(recorded(store, presence.holder), store, presence, wait=lambda _: None)


def test_of_two_that_take_up_one_job_one_does(store: JobStore, presence: Presence) -> None:
    job = recorded(store, died(presence.holder))
    take_up(job, store, presence)

    with pytest.raises(JobInFlight):
        take_up(job, store, presence)


def test_a_job_of_another_machine_is_taken_up_when_its_beat_stands_still(
    store: JobStore, presence: Presence
) -> None:
    waited: list[float] = []
    job = recorded(store, AWAY, presence=_shown_elsewhere(store))

    queued = take_up(job, store, presence, wait=waited.append)

    assert queued.holder == presence.holder
    assert sum(waited) > BEAT_SECONDS


def test_a_job_of_another_machine_that_lives_is_left_to_it(
    store: JobStore, presence: Presence
) -> None:
    name = _shown_elsewhere(store)
    job = recorded(store, AWAY, presence=name)

    def beat(_: float) -> None:
        for point in list(store.ledger.scroll(where={"presence": (name,)})):
            store.ledger.upsert([replace(point, payload={**point.payload, "beat": "next"})])

    with pytest.raises(StoreLocked):
        take_up(job, store, presence, wait=beat)
    assert store.find(job.id) == job


def _shown_elsewhere(store: JobStore) -> str:
    """Record the presence of a process on another machine, and return its name."""
    shown = Presence(store.ledger)
    for point in list(store.ledger.scroll(where={"presence": (shown.name,)})):
        shown.close()
        away = {"owner": AWAY.owner, "host": AWAY.host, "pid": AWAY.pid, "started": AWAY.started}
        store.ledger.upsert([replace(point, payload={**point.payload, **away, "beat": "b"})])
    return shown.name


def test_standard_input_cannot_be_read_again(store: JobStore, presence: Presence) -> None:
    job = recorded(store, presence.holder, state="failed", source="-")

    with pytest.raises(JobNotResumable, match="standard input") as caught:
        take_up(job, store, presence)
    assert "run the ingestion again" in caught.value.hint


@pytest.mark.parametrize(("state", "retry"), [("done", False), ("done", True), ("failed", True)])
def test_a_job_with_nothing_to_do_is_said_to_have_nothing_to_do(
    store: JobStore, presence: Presence, state: str, *, retry: bool
) -> None:
    with pytest.raises(JobNotResumable, match=state):
        take_up(recorded(store, presence.holder, state=state), store, presence, retry=retry)


# --- real ingestions


def ingestion_of(engine: MemoryEngine) -> Ingestion:
    index = Index.create(engine, "c", fingerprint_of(EMBEDDER, SPLITTER))
    return Ingestion(IndexWriter(index, grace_seconds=0), EMBEDDER, SPLITTER)


def test_a_retry_reads_what_was_quarantined_and_nothing_else(tmp_path: Path) -> None:
    engine = MemoryEngine()
    store = JobStore(engine)
    source = tmp_path / "s"
    source.mkdir()
    for name, text in {"a.txt": "first", "bad.txt": " ", "worse.txt": " "}.items():
        (source / name).write_text(text)

    def prepare(job: Job) -> AbstractContextManager[Work]:
        files = list_files(job, store, settings=IndexSettings(factbook=tmp_path))
        return prepare_ingestion(files, job, ingestion_of(engine), lambda _: None)

    with Presence(store.ledger) as presence:
        job = recorded(store, presence.holder, source=str(source), prune=True)
        execute_job(job, store, lambda: prepare(job))
    assert [one.state for one in store.jobs()] == ["partial"]
    (source / "bad.txt").write_text("now it is text")
    (source / "a.txt").unlink()

    [done] = repeat_jobs(store, prepare, collection="c", retry=True).runs

    assert done.report.files == 2
    assert (done.job.id, done.job.state, done.job.attempts) == (job.id, "partial", 2)
    assert [one.name for one in done.job.quarantined] == ["s/worse.txt"]
    assert done.job.counts is not None
    assert (done.job.counts.files, done.job.counts.written, done.job.counts.quarantined) == (
        3,
        2,
        1,
    )
    # Not pruned, though the job was to prune and the file is gone.
    assert set(Index.open(engine, "c").records()) == {"s/a.txt", "s/bad.txt"}


def test_a_retry_finds_what_was_repaired_under_another_name(tmp_path: Path) -> None:
    engine = MemoryEngine()
    store = JobStore(engine)
    source = tmp_path / "s"
    source.mkdir()
    for name, text in {"a.txt": "first", "gone.txt": "second", "bad.txt": " "}.items():
        (source / name).write_text(text)

    def prepare(job: Job) -> AbstractContextManager[Work]:
        files = list_files(job, store, settings=IndexSettings(factbook=tmp_path))
        return prepare_ingestion(files, job, ingestion_of(engine), lambda _: None)

    with Presence(store.ledger) as presence:
        job = recorded(store, presence.holder, source=str(source), prune=True)
        execute_job(job, store, lambda: prepare(job))
    (source / "bad.txt").unlink()
    (source / "good.md").write_text("now it is text")
    (source / "gone.txt").unlink()

    [done] = repeat_jobs(store, prepare, collection="c", retry=True).runs

    assert (done.job.state, done.report.written, done.report.unchanged) == ("done", 1, 1)
    # Not pruned, though the job was to prune and the file is gone.
    records = set(Index.open(engine, "c").records())
    assert records == {"s/a.txt", "s/gone.txt", "s/good.md"}


def test_a_retry_that_broke_off_goes_on_as_a_retry(store: JobStore, presence: Presence) -> None:
    job = recorded(store, presence.holder, state="partial", quarantined=(BAD,))
    begun = store.advance(take_up(job, store, presence, retry=True), state="running")
    store.advance(begun, holder=died(presence.holder))

    again = take_up(begun, store, presence)

    assert (again.retry, again.quarantined) == (True, (BAD,))


def test_documents_sent_along_are_read_as_lines_are() -> None:
    sent = [
        {"id": "a", "text": "# A\n\ntext", "media_type": "text/markdown", "source": "sent:a"},
        {"id": "b", "text": "line\u2028end \ud800", "title": "B"},
    ]

    documents = [file.read() for file in document_files(sent)]

    assert [(one.id, one.title) for one in documents] == [("a", "A"), ("b", "B")]


def test_one_job_that_fails_keeps_no_other_from_being_resumed(
    store: JobStore, presence: Presence
) -> None:
    gone = recorded(store, presence.holder, state="failed", source="/gone")
    kept = recorded(store, presence.holder, state="failed", source="/kept")

    @contextmanager
    def prepare(job: Job) -> Iterator[Work]:
        if job.source == "/gone":
            raise InputError("no source")
        yield Work(report_of)

    repeated = repeat_jobs(store, prepare, collection=None, retry=False)

    assert [one.job.id for one in repeated.runs] == [kept.id]
    assert [(one.job.id, one.error.code) for one in repeated.failures] == [
        (gone.id, "validation_error")
    ]
    assert store.find(gone.id).state == "failed"


def test_nothing_left_means_nothing_is_done_and_no_ledger_is_made() -> None:
    engine = MemoryEngine()

    repeated = repeat_jobs(
        JobStore(engine), lambda _: pytest.fail("ran"), collection=None, retry=False
    )

    assert repeated == Repeated()
    assert engine.collections() == ()


def test_a_store_that_cannot_take_the_end_of_a_job_leaves_it_to_be_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = JobStore(MemoryEngine())

    def ingest() -> IngestReport:
        def refuse(*_: object, **__: object) -> Job:
            raise StoreError("the store is down")

        monkeypatch.setattr(store, "advance", refuse)
        return report_of()

    with pytest.raises(StoreError):
        record(store, ingest)

    assert [job.state for job in store.jobs()] == ["interrupted"]


def test_sources_are_recorded_so_that_they_mean_the_same_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert absolute_source("files/*.md") == f"{tmp_path}/files/*.md"
    assert absolute_source("/a") == "/a"
    assert [absolute_source(name) for name in ("factbook", "-")] == ["factbook", "-"]
