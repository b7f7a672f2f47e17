from __future__ import annotations

from dataclasses import replace

from chunking.document import Document
from eval.datasets import RetrievalSet, resolve_gold
from eval.questions import Evidence, Question, Span
from retrieval.fingerprint import IndexFingerprint

MADE_BY = IndexFingerprint("hash:64", 64, "splitter/1")


def dataset(*texts: str, name: str = "my set") -> RetrievalSet:
    documents = tuple(Document(str(n), text, "T", "s") for n, text in enumerate(texts))
    return RetrievalSet(name, "beir", documents, ())


def test_a_collection_is_named_by_the_content_and_by_what_embeds_it() -> None:
    name = dataset("one", "two").collection_name(MADE_BY)

    assert name.startswith("eval-my-set-")
    assert name == dataset("one", "two").collection_name(MADE_BY)
    assert name != dataset("one", "three").collection_name(MADE_BY)
    assert name != dataset("one", "two").collection_name(
        IndexFingerprint("hash:32", 32, "splitter/1")
    )
    assert name != dataset("one", "two").collection_name(
        IndexFingerprint("hash:64", 64, "splitter/2")
    )
    assert name != dataset("one", "two").collection_name(replace(MADE_BY, terms="bm25f:0"))


def test_gold_is_found_under_folders_that_a_collection_puts_before_it() -> None:
    question = Question(
        "q", "t", "?", (Evidence("in.json", "x"),), {"pk.json": 1}, (Span("absent.json", 0, 1),)
    )

    [found], missing = resolve_gold([question], ["factbook/asia/in.json", "factbook/pk.json"])

    assert found.evidence == (Evidence("factbook/asia/in.json", "x"),)
    assert found.grades == {"factbook/pk.json": 1}
    assert missing == {"absent.json"}


def test_a_whole_id_wins_over_the_end_of_another() -> None:
    question = Question("q", "t", "?", grades={"1": 1})

    [found], missing = resolve_gold([question], ["a/1", "1"])

    assert (dict(found.grades), missing) == ({"1": 1}, frozenset())
