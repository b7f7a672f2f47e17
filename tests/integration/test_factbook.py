"""The complete World Factbook: what was ingested, and what stands in the contexts made of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chunking.document import Chunk
from eval.context import score_contexts
from eval.questions import load_questions, sample_questions
from retrieval.settings import IndexSettings
from scripts.demo import QUESTIONS
from serve.plan import Ask, Plan
from serve.runtime import Runtime
from serve.settings import ServeSettings

pytestmark = pytest.mark.factbook

ENTITIES = 256
ROOT = Path(__file__).parents[2]
INGEST_SECONDS = 1800
SINGLE_FIELD_SAMPLE = 100
SINGLE_FIELD_FOUND = 95
SINGLE_FIELD_TOKENS = 2048
SEED = 20261121


def ingest_factbook() -> str:
    """Bring the default collection up to date, as `make demo` does, and return what it printed."""
    command = [sys.executable, "-m", "windowfit", "ingest", "run", "factbook"]
    done = subprocess.run(
        [*command, "--collection", "factbook", "--json", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=INGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def second_run() -> str:
    """What a second ingestion printed; the first takes minutes unless the demo has run."""
    ingest_factbook()
    return ingest_factbook()


@pytest.fixture(scope="module")
def runtime(second_run: str) -> Iterator[Runtime]:
    """The service's runtime over the ingested Factbook."""
    home = ROOT / ".windowfit"
    opened = Runtime.open(IndexSettings.load(home=home), ServeSettings.load(), secrets={})
    try:
        yield opened
    finally:
        opened.engine.close()


@pytest.fixture(scope="module")
def plan(runtime: Runtime) -> Callable[[str], Plan]:
    """Plans a question for the default model, as the demonstration asks it."""
    return lambda question: runtime.plan(Ask(question, "factbook", "quote"))


def of_document(plan: Plan, title: str) -> list[Chunk]:
    return [chunk for chunk in plan.context.chunks if chunk.title == title]


def test_all_entities_are_in_the_collection_with_their_tokens(runtime: Runtime) -> None:
    records = runtime.searcher("factbook").catalog().records

    assert len(records) == ENTITIES
    assert all(record.chunk_ids for record in records.values())
    assert all(record.counts["mistral:v3"].whole > 0 for record in records.values())


def test_every_chunk_is_a_span_of_its_document(runtime: Runtime) -> None:
    index = runtime.searcher("factbook").index
    texts = {document.id: document.text for document in index.documents()}

    chunks = [hit.chunk for hit in index.read()]

    assert len(chunks) == index.chunk_count()
    assert all(texts[chunk.document][chunk.start : chunk.end] == chunk.text for chunk in chunks)


def test_no_chunk_is_longer_than_the_embedder_reads(runtime: Runtime) -> None:
    chunks = [hit.chunk for hit in runtime.searcher("factbook").index.read()]

    counts = runtime.embedder.count_tokens([chunk.embedded_text for chunk in chunks])

    assert max(counts) <= runtime.embedder.input_limit == 256


def test_the_business_plan_sees_what_a_business_plan_needs(plan: Callable[[str], Plan]) -> None:
    planned = plan(QUESTIONS[2])
    india = of_document(planned, "India")
    text = "\n".join(chunk.text for chunk in india)

    for needed in (
        "Telephones - mobile cellular - total subscriptions: 1.15 billion",
        "Internet users - percent of population: 56%",
        "Age structure - 0-14 years: 24.5%",
        "Real GDP per capita",
        "Household income or consumption by percentage share",
        "Youth unemployment rate (ages 15-24) - total",
        # This edition has no field on regulators; who licenses and controls networks stands here.
        "Broadcast media: ",
    ):
        assert needed in text, needed
    sections = Counter(chunk.path[0] for chunk in india)
    assert len(sections) >= 5
    assert max(sections.values()) <= len(planned.context.chunks) / 2


def test_a_comparison_sees_both_sides(plan: Callable[[str], Plan]) -> None:
    planned = plan(QUESTIONS[1])

    for title, area in (("Bolivia", "1,098,581 sq km"), ("Lesotho", "30,355 sq km")):
        assert any(area in chunk.text for chunk in of_document(planned, title))


def test_prompts_fill_the_window_when_candidates_are_plentiful(
    plan: Callable[[str], Plan],
) -> None:
    for question in QUESTIONS:
        report = plan(question).report
        assert report.truncated
        assert report.free <= 0.03 * (report.window - report.reserved_output)


def test_single_facts_stand_in_a_context_of_2048_tokens(
    runtime: Runtime, record_property: Callable[[str, object], None]
) -> None:
    data = os.environ.get("WINDOWFIT_TEST_DATA")
    if not data:
        pytest.skip("WINDOWFIT_TEST_DATA does not name the folder of the question sets")
    questions = load_questions(Path(data) / "factbook_qa" / "dev.jsonl")
    drawn = sample_questions(
        questions, type_name="single_field", size=SINGLE_FIELD_SAMPLE, seed=SEED
    )

    score = score_contexts(
        drawn,
        plan=runtime.plan,
        collection="factbook",
        model="quote",
        max_context_tokens=SINGLE_FIELD_TOKENS,
    )

    record_property(
        "figure",
        f"answer in context, single field, {SINGLE_FIELD_TOKENS} tokens: "
        f"{score.found} of {score.questions}",
    )
    assert score.found >= SINGLE_FIELD_FOUND, score.missed


def test_ingesting_again_embeds_nothing(second_run: str) -> None:
    report = json.loads(second_run)

    assert report["unchanged"] == report["files"] == ENTITIES
    assert report["embedded_chunks"] == 0
