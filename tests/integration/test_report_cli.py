"""`windowfit eval report` as a shell sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.comparison import write_comparison
from eval.report import render_report
from tests.integration.commands import Command
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")


def test_a_comparison_becomes_one_file(command: Command, tmp_path: Path) -> None:
    write_comparison(example_comparison(), tmp_path / "comparison.json")
    before = set(tmp_path.iterdir())

    ended = command("eval", "report", "comparison.json", "--html", "report.html")
    again = command("eval", "report", "comparison.json", "--html", "report.html", "--json")

    html = tmp_path / "report.html"
    assert (ended.code, again.code) == (0, 0)
    assert html.read_text() == render_report(example_comparison())
    assert set(tmp_path.iterdir()) - before == {html}
    assert ended.out == f"wrote report.html: 6 questions, {html.stat().st_size:,} bytes\n"
    assert again.json == {"html": "report.html", "bytes": html.stat().st_size, "questions": 6}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("absent.json", "--html", "report.html"), "cannot read absent.json"),
        (("broken.json", "--html", "report.html"), "broken.json: no JSON"),
        (("comparison.json", "--html", "no/such/report.html"), "cannot write"),
        (("comparison.json", "--html", "comparison.json"), "is the comparison itself"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    comparison = tmp_path / "comparison.json"
    write_comparison(example_comparison(), comparison)
    (tmp_path / "broken.json").write_text("{")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    ended = command("eval", "report", *arguments)

    assert ended.code == 2
    assert told in ended.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
