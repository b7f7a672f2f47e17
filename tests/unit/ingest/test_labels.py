"""A document has the highest label that anything states of it, and silence lowers none."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Document
from chunking.errors import ConfigurationError, StoreError
from chunking.sensitivity import UNLABELLED, Sensitivity, highest
from chunking.split import Splitter
from ingest.job import Ingestion, run_ingest
from ingest.labels import Labelling
from ingest.lines import stream_lines
from ingest.plan import IngestPlan, plan_ingest
from ingest.readers.sandbox import Sandbox
from ingest.rebuild import run_rebuild
from ingest.shares import ListedFile, deal
from ingest.sources import list_source
from ingest.tally import IngestReport
from ingest.texts import SourceFile, document_file
from ingest.verify import verify
from ingest.workbench import open_workbench
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Point, Where
from retrieval.providers import fingerprint_of
from retrieval.settings import IndexSettings, LabelRule
from retrieval.writer import IndexWriter
from tests.unit.ingest.jobs_bench import AWAY, job_of

PUBLIC, INTERNAL, CONFIDENTIAL, RESTRICTED = Sensitivity
LABELS = st.sampled_from(Sensitivity)
STATED = st.none() | LABELS
EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=16, limit=32)
TEXT = " ".join(f"Sentence {n} says this and that and more of it." for n in range(8))


def file(name: str, *, stated: Sensitivity | None = None, inside: str = "") -> SourceFile:
    plain = document_file(Document(name, TEXT, "Title", f"{name}.txt"))
    return replace(plain, stated=stated, inside=inside)


def rules(*pairs: tuple[str, Sensitivity]) -> IndexSettings:
    return IndexSettings(labels=tuple(LabelRule(glob=glob, label=label) for glob, label in pairs))


def applied(labelling: Labelling, one: SourceFile) -> SourceFile:
    [labelled] = labelling.apply([one])
    return labelled


@given(STATED, STATED, STATED, LABELS, STATED)
def test_what_is_stated_adds_up_to_the_highest_and_silence_lowers_nothing(
    run: Sensitivity | None,
    own: Sensitivity | None,
    ruled: Sensitivity | None,
    default: Sensitivity,
    stored: Sensitivity | None,
) -> None:
    settings = rules(*([("a/*", ruled)] if ruled else []))
    labelling = replace(Labelling.of(settings, run), default=default)
    label = applied(labelling, file("a/b", stated=own)).sensitivity(stored)
    stated = [one for one in (run, own, ruled) if one is not None]
    if stated:
        assert label is highest(stated)
    else:
        assert label is (default if stored is None else highest((stored, default)))


def test_the_first_rule_that_matches_holds() -> None:
    labelling = Labelling.of(rules(("hr/public/*", PUBLIC), ("hr/**", RESTRICTED)))
    found = {
        name: applied(labelling, file(name)).stated
        for name in ("hr/public/menu", "hr/pay/2025", "sales/plan")
    }
    assert found == {"hr/public/menu": PUBLIC, "hr/pay/2025": RESTRICTED, "sales/plan": None}


@pytest.mark.parametrize(
    ("name", "inside", "matches"),
    [
        ("hr/pay.md", "", True),
        ("company/hr/pay.md", "", True),
        ("company/old/hr/pay.md", "", False),
        ("chrome/pay.md", "", False),
        ("case 17", "company/hr/cases.jsonl", True),
        ("case 17", "cases.jsonl", False),
    ],
)
def test_a_glob_is_held_against_the_name_in_its_folder_and_the_file_of_a_line(
    name: str, inside: str, matches: bool
) -> None:
    labelling = Labelling.of(rules(("hr/**", RESTRICTED)))
    stated = applied(labelling, file(name, inside=inside)).stated
    assert stated is (RESTRICTED if matches else None)


def test_a_list_of_files_stays_one_and_lines_stay_lines() -> None:
    assert isinstance(Labelling().apply([file("a")]), tuple)
    assert not isinstance(Labelling().apply(iter([file("a")])), tuple)


def test_a_glob_that_cannot_be_read_is_refused_before_anything_is() -> None:
    with pytest.raises(ConfigurationError, match=r"glob 'hr/\[z-a\]'") as caught:
        Labelling.of(rules(("hr/[z-a]", RESTRICTED)))
    assert caught.value.param == "labels"


def test_an_unknown_label_in_the_settings_is_refused_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WINDOWFIT_DEFAULT_SENSITIVITY", "restrcted")
    with pytest.raises(ConfigurationError, match="did you mean 'restricted'"):
        IndexSettings.load()


def test_rules_and_the_default_are_read_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "windowfit.toml"
    config.write_text(
        '[index]\ndefault_sensitivity = "Confidential"\n'
        '[[index.labels]]\nglob = "hr/**"\nlabel = "restricted"\n'
    )
    monkeypatch.setenv("WINDOWFIT_CONFIG", str(config))
    labelling = Labelling.of(IndexSettings.load())
    assert labelling.default is CONFIDENTIAL
    assert applied(labelling, file("hr/a")).sensitivity(None) is RESTRICTED


def lines(*records: Mapping[str, Any]) -> list[SourceFile]:
    data = "".join(f"{json.dumps(record)}\n" for record in records).encode()
    return list(stream_lines(io.BytesIO(data), name="n", source="s", sandbox=Sandbox()))


@dataclass
class Bench:
    """A collection that counts what is embedded and may fail on a write."""

    store: MemoryPointStore = field(default_factory=lambda: FailingStore(EMBEDDER.dimension))

    def index(self) -> Index:
        engine = MemoryEngine({"c": self.store})
        return Index.create(engine, "c", fingerprint_of(EMBEDDER, SPLITTER))

    def begin(self, index: Index) -> Ingestion:
        return Ingestion(IndexWriter(index, grace_seconds=0), EMBEDDER, SPLITTER)

    def run(
        self,
        files: Iterable[SourceFile],
        labelling: Labelling | None = None,
        *,
        prune: bool = False,
    ) -> IngestReport:
        labelled = (labelling or Labelling()).apply(list(files))
        return run_ingest(labelled, self.begin(self.index()), prune=prune)

    def plan(self, files: Iterable[SourceFile], labelling: Labelling | None = None) -> IngestPlan:
        return plan_ingest(
            (labelling or Labelling()).apply(list(files)),
            self.index().records(),
            collection="c",
            splitter=SPLITTER,
            embedder=EMBEDDER,
            measured=False,
        )

    def labels(self) -> dict[str, Sensitivity]:
        """Return what hits say, which is what the records say."""
        index = self.index()
        found = {hit.chunk.document: hit.chunk.sensitivity for hit in index.read()}
        assert found == {one.id: one.sensitivity for one in index.documents()}
        assert verify(index).intact
        return found


@dataclass
class FailingStore(MemoryPointStore):
    """Acknowledges so many writes and refuses the one after them."""

    writes_left: int = 1_000_000

    def upsert(self, points: Any, *, only_if: Where | None = None) -> None:
        if not self.writes_left:
            raise StoreError("the store is down")
        self.writes_left -= 1
        super().upsert(points, only_if=only_if)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_documents_are_internal_where_nothing_states_a_label(bench: Bench) -> None:
    bench.run([file("a")])
    assert bench.labels() == {"a": UNLABELLED} == {"a": INTERNAL}


def test_a_change_of_label_alone_embeds_nothing_and_is_counted(bench: Bench) -> None:
    files = [file("a"), file("b")]
    bench.run(files)
    state = {name: point.vector is not None for name, point in bench.store.points.items()}
    labelling = Labelling(run=RESTRICTED)
    planned = bench.plan(files, labelling)
    assert (planned.relabelled, planned.unchanged, planned.embedded_chunks) == (2, 2, 0)
    done = bench.run(files, labelling)
    assert (done.relabelled, done.unchanged, done.written, done.embedded_chunks) == (2, 2, 0, 0)
    assert bench.labels() == {"a": RESTRICTED, "b": RESTRICTED}
    assert {name: p.vector is not None for name, p in bench.store.points.items()} == state
    again = bench.run(files, labelling)
    assert (again.relabelled, again.unchanged) == (0, 2)


def test_a_run_that_states_nothing_leaves_labels_and_one_that_does_lowers_them(
    bench: Bench,
) -> None:
    bench.run([file("a")], Labelling(run=RESTRICTED))
    assert bench.run([file("a")]).relabelled == 0
    assert bench.labels() == {"a": RESTRICTED}
    assert bench.run([file("a")], Labelling(run=PUBLIC)).relabelled == 1
    assert bench.labels() == {"a": PUBLIC}


def test_a_default_that_is_raised_raises_what_nothing_else_labels(bench: Bench) -> None:
    bench.run([file("a"), file("b", stated=PUBLIC)])
    bench.run([file("a"), file("b", stated=PUBLIC)], Labelling(default=CONFIDENTIAL))
    assert bench.labels() == {"a": CONFIDENTIAL, "b": PUBLIC}
    bench.run([file("a"), file("b", stated=PUBLIC)], Labelling(default=PUBLIC))
    assert bench.labels() == {"a": CONFIDENTIAL, "b": PUBLIC}


def test_equal_texts_keep_each_their_own_label(bench: Bench) -> None:
    bench.run([file("a", stated=PUBLIC), file("b", stated=RESTRICTED)])
    assert bench.labels() == {"a": PUBLIC, "b": RESTRICTED}


@pytest.mark.parametrize("writes", range(16))
def test_a_killed_change_of_labels_is_completed_by_the_next_run(bench: Bench, writes: int) -> None:
    files = [file("a"), file("b"), file("c")]
    bench.run(files)
    assert isinstance(bench.store, FailingStore)
    bench.store.writes_left = writes
    with suppress(StoreError):
        bench.run(files, Labelling(run=RESTRICTED))
    bench.store.writes_left = 1_000_000
    assert set(bench.labels().values()) <= {INTERNAL, RESTRICTED}
    done = bench.run(files, Labelling(run=RESTRICTED))
    assert done.embedded_chunks == 0
    assert set(bench.labels().values()) == {RESTRICTED}


def test_a_line_states_its_own_label_and_a_change_of_it_embeds_nothing(bench: Bench) -> None:
    bench.run(lines({"id": "a", "text": TEXT, "sensitivity": "Restricted"}))
    assert bench.labels() == {"a": RESTRICTED}
    done = bench.run(lines({"id": "a", "text": TEXT, "sensitivity": "public"}))
    assert (done.relabelled, done.written, done.embedded_chunks) == (1, 0, 0)
    assert bench.labels() == {"a": PUBLIC}


def test_a_label_is_no_part_of_the_text_of_a_record(bench: Bench) -> None:
    record = {"id": "a", "capital": "Lima", "sensitivity": "restricted"}
    bench.run(lines(record))
    [document] = bench.index().documents()
    assert "restricted" not in document.text
    assert bench.run(lines({**record, "sensitivity": "public"})).embedded_chunks == 0


@pytest.mark.parametrize("label", ["restrcted", "", 3, ["public"], {"is": "public"}, True])
def test_a_line_whose_label_is_none_is_quarantined_and_its_stored_version_restricted(
    bench: Bench, label: object
) -> None:
    bench.run(lines({"id": "a", "text": TEXT, "sensitivity": "public"}, {"id": "b", "text": TEXT}))
    bad = lines({"id": "a", "text": TEXT, "sensitivity": label}, {"id": "b", "text": TEXT})
    assert bench.plan(bad).relabelled == 1
    done = bench.run(bad, prune=True)
    [quarantined] = done.quarantined
    assert (quarantined.name, quarantined.code) == ("a", "unreadable_label")
    assert quarantined.label == "restricted"
    assert (done.relabelled, done.removed_documents) == (1, 0)
    assert bench.labels() == {"a": RESTRICTED, "b": INTERNAL}


def test_a_label_holds_though_the_id_beside_it_is_none(bench: Bench) -> None:
    bench.run(lines({"id": ["no", "id"], "text": TEXT, "sensitivity": "restricted"}))
    assert bench.labels() == {"n#1": RESTRICTED}


def test_a_file_that_cannot_be_read_raises_what_is_stored_of_it_and_lowers_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "a.md"
    path.write_text(TEXT)

    def files() -> list[SourceFile]:
        return list(list_source(str(path), factbook=tmp_path))

    bench.run(files())
    path.write_bytes(b"\x00\x01")
    done = bench.run(files(), Labelling(run=PUBLIC))
    assert (len(done.quarantined), done.relabelled) == (1, 0)
    assert bench.labels() == {"a.md": INTERNAL}
    done = bench.run(files(), Labelling(run=RESTRICTED))
    assert (len(done.quarantined), done.relabelled) == (1, 1)
    assert bench.labels() == {"a.md": RESTRICTED}


def test_a_rebuild_carries_labels_with_and_without_the_source() -> None:
    engine, bench = MemoryEngine(), Bench()
    fingerprint = fingerprint_of(EMBEDDER, SPLITTER)
    index = Index.create(engine, "c", fingerprint)
    stated = [file("a", stated=RESTRICTED), file("b", stated=PUBLIC)]
    run_ingest(stated, bench.begin(index))

    def rebuild(files: list[SourceFile] | None) -> dict[str, Sensitivity]:
        options: dict[str, Any] = {"fingerprint": fingerprint, "grace_seconds": 0}
        run_rebuild(files, engine, "c", bench.begin, **options)
        found = Index.open(engine, "c")
        assert verify(found).intact
        return {hit.chunk.document: hit.chunk.sensitivity for hit in found.read()}

    assert rebuild(None) == {"a": RESTRICTED, "b": PUBLIC}
    silent = list(Labelling().apply([replace(one, stated=None) for one in stated]))
    assert rebuild(silent[:1]) == {"a": RESTRICTED, "b": PUBLIC}
    assert rebuild(silent) == {"a": RESTRICTED, "b": INTERNAL}
    unreadable = lines({"id": "b", "text": TEXT, "sensitivity": "restrcted"})
    assert rebuild(unreadable) == {"a": RESTRICTED, "b": RESTRICTED}


def test_what_travels_to_a_worker_keeps_its_label(bench: Bench) -> None:
    bench.run([file("a")], Labelling(run=RESTRICTED))
    ingestion = bench.begin(bench.index())
    with ingestion.writer:
        listed = ListedFile.of(file("a"), ingestion)
        assert listed.record is not None
        assert listed.record.sensitivity is RESTRICTED
        assert list(deal([listed], most_files=1, most_bytes=1))


def test_a_label_changed_behind_the_back_is_found(bench: Bench) -> None:
    bench.run([file("a")], Labelling(run=RESTRICTED))
    [name] = [name for name, p in bench.store.points.items() if p.payload["kind"] == "document"]
    point = bench.store.points[name]
    bench.store.points[name] = Point(name, {**point.payload, "sensitivity": "public"})
    assert [one.defect for one in verify(bench.index()).findings] == ["altered"]


@pytest.mark.parametrize(
    ("front", "label"),
    [
        ("sensitivity: restricted", RESTRICTED),
        ("title: Pay\nSensitivity: 'Confidential'  # of 2025", CONFIDENTIAL),
        ("sensitivity: public\nsensitivity: restricted", RESTRICTED),
        ("title: Pay", INTERNAL),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_front_matter_states_the_label_of_a_markdown_file(
    bench: Bench, tmp_path: Path, front: str, label: Sensitivity, encoding: str
) -> None:
    (tmp_path / "a.md").write_text(f"---\n{front}\n---\n\nsensitivity: public\n", encoding)
    files = list(list_source(str(tmp_path / "a.md"), factbook=tmp_path))
    bench.run(files)
    assert bench.labels() == {"a.md": label}
    assert files[0].read().sensitivity is label
    assert bench.run(files, Labelling(run=PUBLIC)).relabelled == (label is INTERNAL)


def test_front_matter_that_states_no_label_is_quarantined_and_closes_what_is_stored(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "a.md"

    def run(front: str) -> IngestReport:
        path.write_text(f"---\n{front}\n---\n\nText.\n")
        return bench.run(list_source(str(path), factbook=tmp_path))

    run("sensitivity: public")
    [quarantined] = run("sensitivity: restrcted").quarantined
    assert quarantined.reason == "a.md: front matter: 'restrcted' is no label of sensitivity"
    assert quarantined.hint == "did you mean 'restricted'?"
    assert bench.labels() == {"a.md": RESTRICTED}
    run("sensitivity: public")
    assert bench.labels() == {"a.md": PUBLIC}


@pytest.mark.parametrize(
    ("name", "open_text", "near"),
    [
        ("a.md", "Text.\n", "---\nsensitivty: restricted\n---\n\nText.\n"),
        ("a.md", "Text.\n", '+++\n[params]\nsensitivity = "restricted"\n+++\n\nText.\n'),
        ("a.json", '{"text": "Text."}', '{"text": "Text.", "sensitivty": "restricted"}'),
    ],
)
def test_what_was_meant_as_a_label_is_quarantined_and_closes_what_is_stored(
    bench: Bench, tmp_path: Path, name: str, open_text: str, near: str
) -> None:
    path = tmp_path / name
    path.write_text(open_text)
    bench.run(list_source(str(path), factbook=tmp_path))
    assert bench.labels() == {name: INTERNAL}
    path.write_text(near)
    [quarantined] = bench.run(list_source(str(path), factbook=tmp_path)).quarantined
    assert (quarantined.code, quarantined.label) == ("unreadable_label", "restricted")
    assert bench.labels() == {name: RESTRICTED}


def test_a_json_file_states_its_label(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"Sensitivity": "Restricted", "text": "Text."}')
    bench.run(list_source(str(path), factbook=tmp_path))
    assert bench.labels() == {"a.json": RESTRICTED}


def test_a_key_of_a_line_in_capitals_is_a_label_and_no_part_of_its_text(bench: Bench) -> None:
    bench.run(lines({"id": "a", "capital": "Lima", "Sensitivity": "Restricted"}))
    assert bench.labels() == {"a": RESTRICTED}
    [document] = bench.index().documents()
    assert "estricted" not in document.text


@pytest.mark.parametrize(
    "near",
    [
        {"sensitivty": "restricted"},
        {"sensitive": True},
        {"metadata": {"sensitivity": "restricted"}},
    ],
)
def test_a_line_whose_key_is_nearly_that_of_labels_is_quarantined(
    bench: Bench, near: Mapping[str, Any]
) -> None:
    bench.run(lines({"id": "a", "text": TEXT}))
    [quarantined] = bench.run(lines({"id": "a", "text": TEXT, **near})).quarantined
    assert (quarantined.name, quarantined.code) == ("a", "unreadable_label")
    assert bench.labels() == {"a": RESTRICTED}


@pytest.mark.parametrize("beside", [None, "public", "restricted"])
def test_front_matter_in_a_line_of_markdown_states_its_label_too(
    bench: Bench, beside: str | None
) -> None:
    text = f"---\nsensitivity: restricted\n---\n\n{TEXT}"
    line = {"id": "a", "text": text, "media_type": " text/markdown ", "sensitivity": beside}
    bench.run(lines(line))
    assert bench.labels() == {"a": RESTRICTED}


def test_front_matter_in_a_line_that_is_nearly_a_label_is_quarantined(bench: Bench) -> None:
    line = {"id": "a", "text": TEXT, "media_type": "text/markdown", "sensitivity": "public"}
    bench.run(lines(line))
    near = {**line, "text": f"---\nsensitivty: restricted\n---\n\n{TEXT}"}
    [quarantined] = bench.run(lines(near)).quarantined
    assert (quarantined.code, quarantined.label) == ("unreadable_label", "restricted")
    assert bench.labels() == {"a": RESTRICTED}


def test_a_line_with_two_labels_under_one_key_is_quarantined(bench: Bench) -> None:
    bench.run(lines({"id": "a", "text": TEXT}))
    twice = b'{"id": "a", "text": "t", "sensitivity": "restricted", "sensitivity": "public"}\n'
    files = list(stream_lines(io.BytesIO(twice), name="n", source="s", sandbox=Sandbox()))
    [quarantined] = bench.run(files).quarantined
    assert (quarantined.name, quarantined.code) == ("a", "unreadable_label")
    assert bench.labels() == {"a": RESTRICTED}


def test_rules_hold_for_whoever_uses_the_workbench(tmp_path: Path) -> None:
    rule = LabelRule(glob="hr/**", label=RESTRICTED)
    settings = IndexSettings(home=tmp_path, embedder="hash:64", tokenizers=(), labels=(rule,))
    with open_workbench(settings) as bench:
        with bench.work([file("hr/a"), file("b")], "c") as ingest:
            ingest()
        labels = {one.id: one.sensitivity for one in bench.records("c").values()}
    assert labels == {"hr/a": RESTRICTED, "b": INTERNAL}


def test_a_later_job_stands_in_for_an_earlier_label_only_with_a_word_of_its_own() -> None:
    restricted, public, silent = (
        job_of(AWAY, source="/s", sensitivity=label) for label in ("restricted", "public", "")
    )
    assert public.covers(restricted)
    assert restricted.covers(silent)
    assert not silent.covers(restricted)
    assert replace(silent, sensitivity="damaged").label is RESTRICTED
