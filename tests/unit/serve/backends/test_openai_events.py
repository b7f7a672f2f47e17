"""The data of server-sent events, whatever pieces their bytes come in."""

from __future__ import annotations

import pytest

from serve.backends.openai_events import EventData


def found(*parts: bytes) -> list[bytes]:
    data = EventData()
    return [event for part in (*parts, b"\n") for event in data.feed(part)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_in_pieces_of_any_size(end: bytes) -> None:
    lines = (b"data: one", b"", b": comment", b"event: x", b"data:two", b"data:  2", b"", b"id: 3")
    sent = end.join([*lines, b"", b"data: four", b"", b""])

    for size in range(1, len(sent) + 1):
        pieces = [sent[start : start + size] for start in range(0, len(sent), size)]

        assert found(*pieces) == [b"one", b"two\n 2", b"four"]


def test_an_event_is_given_as_soon_as_its_empty_line_has_come() -> None:
    data = EventData()

    assert list(data.feed(b"data: one\n\ndata: tw")) == [b"one"]
    assert list(data.feed(b"o\r\n\r")) == []
    assert list(data.feed(b"\n")) == [b"two"]


def test_the_end_of_the_body_stands_for_one_line_end() -> None:
    assert found(b"data: one\n\ndata: two\n") == [b"one", b"two"]
    assert found(b"data: one\n\ndata: two") == [b"one"]


def test_data_without_a_value_is_an_empty_line_of_it() -> None:
    assert found(b"data\n\n", b"data:\ndata: a\n\n") == [b"", b"\na"]
