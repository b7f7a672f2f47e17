from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.comparison import dump_comparison, parse_comparison, read_comparison, write_comparison
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")


def test_a_comparison_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    comparison = example_comparison(copies=2)
    path = tmp_path / "comparison.json"

    write_comparison(comparison, path)

    assert read_comparison(path) == comparison
    assert list(tmp_path.iterdir()) == [path]


def test_a_comparison_is_read_packed_as_it_was_written_whatever_its_name(tmp_path: Path) -> None:
    comparison = example_comparison(copies=2)
    path = tmp_path / "comparison.json"
    path.write_bytes(gzip.compress(dump_comparison(comparison).encode()))

    assert read_comparison(path) == comparison


@pytest.mark.parametrize(("end", "more"), [(-9, b""), (None, b"x")])
def test_a_packed_comparison_that_is_damaged_is_named(
    tmp_path: Path, end: int | None, more: bytes
) -> None:
    path = tmp_path / "comparison.json.gz"
    path.write_bytes(gzip.compress(b"{}" * 500)[:end] + more)

    with pytest.raises(InputError, match=r"cannot read .*comparison\.json\.gz"):
        read_comparison(path)


def test_a_small_file_that_unpacks_to_more_than_a_machine_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.comparison.UNPACKED_LIMIT", 50_000_000)
    path = tmp_path / "comparison.json.gz"
    path.write_bytes(gzip.compress(bytes(50_000_001)))

    tracemalloc.start()
    with pytest.raises(InputError, match="unpacks to more than 50,000,000 bytes"):
        read_comparison(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 5_000_000


def test_money_keeps_its_digits_in_the_json_form() -> None:
    comparison = example_comparison()
    cell = comparison.cells[0]
    odd = replace(cell, cost=replace(cell.cost, usd=Decimal("0.100000000000000000001")))
    written = dump_comparison(replace(comparison, cells=(odd, *comparison.cells[1:])))

    assert json.loads(written)["cells"][0]["cost"]["usd"] == "0.100000000000000000001"
    assert parse_comparison(written).cells[0] == odd


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no JSON"),
        ("[]", "format None"),
        ('{"format": 2}', "format 2, this reads 1"),
        ('{"format": 1}', "run: "),
    ],
)
def test_what_is_no_comparison_is_refused_with_the_field(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_comparison(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json"):
        read_comparison(tmp_path / "absent.json")
