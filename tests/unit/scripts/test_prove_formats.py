"""The measure of formats counts words in order, of the files that have an expected text."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.prove.formats import Found, count_common, expected_files, expected_words, main, summary

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)


def slow_common(left: list[str], right: list[str]) -> int:
    rows = [[0] * (len(right) + 1)]
    for one in left:
        row = [0]
        for at, other in enumerate(right):
            row.append(rows[-1][at] + 1 if one == other else max(row[-1], rows[-1][at + 1]))
        rows.append(row)
    return rows[-1][-1]


@given(WORDS, WORDS)
def test_the_count_is_that_of_the_longest_common_subsequence(
    left: list[str], right: list[str]
) -> None:
    count = count_common(left, right)
    assert count == slow_common(left, right)
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    assert count >= sum(block.size for block in blocks)


def test_markup_is_no_word() -> None:
    markdown = "# A\\_b [c](https://x.org/y)<!-- image --> &amp; | d |\n| - | - |"
    assert expected_words(markdown) == ["a_b", "c", "d"]


def test_files_are_found_beside_what_is_expected_of_them(tmp_path: Path) -> None:
    for name in (
        "docling/csv/groundtruth/a.csv.md", "docling/csv/sources/a.csv",
        "docling/odf/groundtruth/b.odt.md", "docling/odf/sources/b.odt",
        "docling/pdf/groundtruth/c.md", "docling/pdf/sources/c.pdf",
        "docling/pdf/groundtruth/missing.md",
        "markitdown/expected_outputs/d.md", "markitdown/d.pdf", "markitdown/d.docx",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [(kind, file.name) for kind, file, _ in expected_files(tmp_path)]
    assert found == [
        ("csv", "a.csv"),
        ("odt, odp, ods", "b.odt"),
        ("pdf", "c.pdf"),
        ("pdf", "d.pdf"),
    ]


def test_the_summary_weighs_files_and_words() -> None:
    found = [Found("csv", "a", 10, 10, 10), Found("csv", "b", 90, 0, 0, "refused")]
    assert summary(found) == {"csv": {"files": 2, "read": 1, "mean_share": 0.5, "word_share": 0.1}}


def test_the_measure_prints_a_table_and_a_line_of_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "documents" / "docling" / "csv"
    for name, text in (("groundtruth/a.csv.md", "| x | y |"), ("sources/a.csv", "x,z\n")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setenv("WINDOWFIT_TEST_DATA", str(tmp_path))
    assert main([]) == 0
    *_, worst, last = capsys.readouterr().out.splitlines()
    assert worst.split() == ["50.0%", "a.csv"]
    assert json.loads(last)["csv"]["word_share"] == 0.5


def test_without_the_data_there_is_no_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WINDOWFIT_TEST_DATA", str(tmp_path))
    assert main([]) == 4
    assert "WINDOWFIT_TEST_DATA" in capsys.readouterr().err
