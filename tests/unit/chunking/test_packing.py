"""What shares a chunk: whole sections and blocks where they fit."""

from __future__ import annotations

from collections.abc import Sequence

from chunking.packing import Unit, pack


def packed(units: Sequence[Unit], room: int) -> list[list[int]]:
    """Return the starts of every chunk's units."""
    return [[unit.start for unit in chunk] for chunk in pack(units, room)]


def unit(
    start: int, tokens: int, block: int = 0, *, path: str = "", columns: str = "", above: int = 0
) -> Unit:
    return Unit(start, start + 1, (path,), tokens, 0, block, block, columns, above)


def test_a_section_that_fits_is_not_cut() -> None:
    units = [unit(0, 6, path="A"), unit(1, 3, path="B"), unit(2, 3, path="B")]
    assert packed(units, 10) == [[0], [1, 2]]


def test_a_block_that_fits_is_not_cut() -> None:
    units = [unit(0, 6), unit(1, 3, 1), unit(2, 3, 1), unit(3, 3, 2)]
    assert packed(units, 10) == [[0], [1, 2, 3]]


def test_a_chunk_that_would_stay_half_empty_is_filled_with_lines_of_the_next_block() -> None:
    units = [unit(0, 2), unit(1, 5, 1), unit(2, 5, 1), unit(3, 1, 2)]
    assert packed(units, 10) == [[0, 1], [2, 3]]


def test_a_block_longer_than_a_chunk_is_cut_between_its_lines() -> None:
    assert packed([unit(at, 4) for at in range(5)], 10) == [[0, 1], [2, 3], [4]]


def test_rows_leave_room_for_the_names_of_their_columns_once_a_chunk() -> None:
    units = [unit(0, 2), *(unit(at, 2, columns="a | b", above=4) for at in range(1, 9))]
    assert packed(units, 10) == [[0, 1, 2, 3, 4], [5, 6, 7], [8]]


def test_what_follows_rows_without_their_names_begins_a_chunk() -> None:
    units = [unit(0, 8), unit(1, 3, columns="a | b", above=1), unit(2, 1, 1)]
    assert packed(units, 10) == [[0], [1], [2]]


def test_nothing_is_no_chunk() -> None:
    assert packed([], 10) == []
