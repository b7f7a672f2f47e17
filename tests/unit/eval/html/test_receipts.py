from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from eval.html.receipts import Held, Shown, set_receipt
from serve.context.report import ContextReport
from tests.unit.eval.comparisons import LOCAL, report

CITATION = {
    "marker": 2,
    "chunk": "chunk-2",
    "breadcrumb": "Colombia > Geography",
    "source": "co.json",
    "start": 200,
    "end": 290,
    "text": "Brazil 1,790 km",
}


def made(*, kept: int, shown: Shown, cited: bool = False) -> tuple[dict[str, Any], Held]:
    held = Held()
    parsed = TypeAdapter(ContextReport).validate_python(report(LOCAL, truncated=True, kept=kept))
    citations = [CITATION] if cited else []
    values = set_receipt(parsed, citations, shown=shown, held=held)
    record = dict(zip(held.fields["receipt"], values, strict=True))
    record["fates"] = [[list(held.places)[fate], *sums] for fate, *sums in record["fates"]]
    numbers = record["entries"]
    record["entries"] = [numbers[at : at + 5] for at in range(0, len(numbers), 5)]
    return record, held


def test_a_receipt_keeps_its_numbers_whole() -> None:
    receipt, _ = made(kept=7, shown=Shown(0, 0))

    assert receipt["segments"] == [23, 90, 0, 19, 1400]
    assert sum(receipt["segments"]) + receipt["reserved"] + receipt["free"] == receipt["window"]
    assert receipt["fates"] == [["kept", 7, 1400], ["dropped (over_budget)", 3, 600]]
    assert (receipt["entries"], receipt["unlisted"]) == ([], 10)


def test_documents_that_were_not_read_are_counted() -> None:
    told = report(LOCAL, truncated=False, kept=2)
    told["mode"] = "full"
    told["coverage"]["unread"] = ["peru.json", "chad.json"]
    held = Held()
    parsed = TypeAdapter(ContextReport).validate_python(told)
    values = set_receipt(parsed, (), shown=Shown(0, 0), held=held)
    receipt = dict(zip(held.fields["receipt"], values, strict=True))

    assert (receipt["unread"], list(held.places)[receipt["mode"]]) == (2, "full")


@given(st.integers(0, 30), st.integers(0, 40))
def test_every_entry_is_listed_or_counted_as_unlisted(kept: int, limit: int) -> None:
    receipt, held = made(kept=kept, shown=Shown(limit, 0))
    ranks = [entry[0] for entry in receipt["entries"]]

    assert len(ranks) == min(limit, kept + 3)
    assert ranks == sorted(set(ranks))
    assert len(ranks) + receipt["unlisted"] == kept + 3 == sum(fate[1] for fate in receipt["fates"])
    assert held.unlisted == receipt["unlisted"]


def test_a_short_list_holds_what_was_cited_and_some_of_what_was_left_out() -> None:
    receipt, held = made(kept=20, shown=Shown(3, 100), cited=True)
    texts = list(held.places)

    listed = {rank: texts[fate] for rank, _, _, fate, _ in receipt["entries"]}
    assert listed == {1: "kept", 2: "kept", 21: "dropped (over_budget)"}


def test_a_citation_names_its_place_and_begins_its_text() -> None:
    receipt, held = made(kept=4, shown=Shown(0, 6), cited=True)
    marker, label, source, start, end, quote, left = receipt["citations"][0]
    texts = list(held.places)

    assert (marker, start, end, left) == (2, 200, 290, 9)
    assert [texts[at] for at in (label, source, quote)] == [
        "Colombia > Geography",
        "co.json",
        "Brazil",
    ]


def test_a_text_that_stands_often_is_held_once() -> None:
    held = Held()

    assert [held.place(text) for text in ("a", "b", "a")] == [0, 1, 0]
    assert list(held.places) == ["a", "b"]
