from __future__ import annotations

from dataclasses import replace

from chunking.document import Chunk, Document
from scripts.prove.counted import count_chunks, counted
from scripts.prove.laws import LineCounter
from serve.context.costs import Costs
from serve.context.neighbours import Runs, follows, joined
from serve.context.prompt import Prompt
from serve.context.report import Candidate

LINES = ("Area: 5", "Coast: 6", "Rivers: 7", "Hills: 8")
DOCUMENT = Document("d", "\n".join(LINES), "Title", "s")


def candidates(*, path: tuple[str, ...] = ()) -> list[Candidate]:
    found, start = [], 0
    for position, line in enumerate(LINES):
        chunk = Chunk.of(DOCUMENT, start=start, end=start + len(line), path=path, position=position)
        found.append(Candidate(chunk, 0.5, "question", gap="\n" if position else None))
        start += len(line) + 1
    return found


def test_a_run_shows_the_span_of_all_its_chunks() -> None:
    first, second, third, _ = candidates()

    chunk = joined([first, second, third])

    assert chunk.text == DOCUMENT.text[chunk.start : chunk.end] == "\n".join(LINES[:3])
    assert (chunk.id, chunk.start) == (first.chunk.id, 0)


def test_chunks_join_whatever_the_order_in_which_they_are_kept() -> None:
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        assert Runs.of(candidates(), order).in_order() == [(0, 1, 2, 3)]


def test_runs_stand_in_the_order_of_their_best_chunk() -> None:
    assert Runs.of(candidates(), [3, 0, 1]).in_order() == [(0, 1), (3,)]
    ranked = [candidates()[place] for place in (2, 0, 3)]
    assert Runs.of(ranked, [0, 1, 2]).in_order() == [(0, 2), (1,)]


def test_chunks_under_another_heading_or_with_text_between_do_not_join() -> None:
    first, second, *_ = candidates()
    elsewhere = replace(second, chunk=replace(second.chunk, path=("Coast",)))
    assert follows(first, second)
    assert not follows(first, elsewhere)
    assert not follows(first, replace(second, gap=None))
    assert not follows(first, replace(second, gap="\n\n"))
    assert not follows(first, replace(second, chunk=replace(second.chunk, document="e")))
    assert not follows(second, first)


def test_of_two_chunks_that_claim_one_position_only_the_first_is_joined() -> None:
    first, second, third, _ = candidates()
    rival = replace(second, chunk=replace(second.chunk, text="Coast:", end=second.chunk.end - 2))

    runs = Runs.of([first, second, rival, third], [0, 1, 2, 3])

    assert sorted(runs.in_order()) == [(0, 1, 3), (2,)]


def test_a_count_of_ingestion_is_used_only_between_chunks_that_ingestion_counted() -> None:
    counter = LineCounter(merging=False)
    counts = count_chunks([DOCUMENT], [one.chunk for one in candidates()], counter)
    first, second, *_ = counted(candidates(), counts)
    assert first.units is not None
    assert second.units is not None
    assert second.continued is not None
    # As if the chunk before it had changed since: the count would be another one's.
    stale = replace(second, continued=second.continued + 100)
    prompt = Prompt("How large?")

    assert Costs([first, second], prompt, counter).of_run((0, 1)) == first.units + second.continued
    known = Costs([first, stale], prompt, counter).of_run((0, 1))
    assert known == first.units + second.continued + 100
    uncounted = Costs([replace(first, units=None), stale], prompt, counter).of_run((0, 1))
    assert uncounted == first.units + second.continued
