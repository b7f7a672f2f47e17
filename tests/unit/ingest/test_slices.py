"""Slices hold every chunk once and in order, and a file is done with when its chunks are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from ingest.changes import Unchanged
from ingest.slices import Event, Pending, cut_slices


def pending(name: str, missing: int) -> Pending:
    document = Document(name, "x" * missing, name, name)
    chunks = tuple(
        Chunk.of(document, start=n, end=n + 1, path=(str(n),), position=n) for n in range(missing)
    )
    return Pending(document, chunks, chunks, unchanged=False)


EVENTS = st.lists(st.integers(-1, 9), max_size=30).map(
    lambda sizes: [
        Unchanged(str(n)) if size < 0 else pending(str(n), size) for n, size in enumerate(sizes)
    ]
)


@given(events=EVENTS, most_chunks=st.integers(1, 7), most_events=st.integers(1, 5))
def test_every_chunk_and_every_file_is_in_exactly_one_slice(
    events: list[Event], most_chunks: int, most_events: int
) -> None:
    slices = list(cut_slices(events, most_chunks=most_chunks, most_events=most_events))

    assert [event for one in slices for event in one.events] == events
    wanted = [chunk for e in events if isinstance(e, Pending) for chunk in e.missing]
    assert [chunk for one in slices for chunk in one.chunks] == wanted
    assert all(len(one.chunks) <= most_chunks for one in slices)
    assert all(one.chunks or one.events for one in slices)
    stored: set[Chunk] = set()
    for one in slices:
        stored.update(one.chunks)
        for event in one.events:
            assert not isinstance(event, Pending) or stored.issuperset(event.missing)


def test_a_file_without_new_chunks_does_not_wait_for_chunks_that_may_never_come() -> None:
    def events() -> object:
        yield Unchanged("a")
        yield Unchanged("b")
        raise AssertionError("asked for more")

    first = next(cut_slices(events(), most_chunks=100, most_events=2))  # type: ignore[arg-type]
    assert first.events == (Unchanged("a"), Unchanged("b"))
