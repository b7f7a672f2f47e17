"""`windowfit eval thresholds` as a shell sees it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from eval.cells import Cell
from eval.comparison import Comparison, write_comparison
from eval.thresholds import FEWEST_OF_EACH
from serve.escalation import Signals
from serve.settings import ServeSettings
from tests.integration.commands import Command
from tests.unit.eval.comparisons import example_comparison

ROOT = Path(__file__).parents[2]

pytest.importorskip("scipy", reason="needs the extra `eval`")


def labelled(*, copies: int = 20) -> Comparison:
    """Return a comparison whose grounded answers of local-rag-8k are right, and no others."""
    comparison = example_comparison(copies=copies)
    return replace(comparison, cells=tuple(map(_parted, comparison.cells)))


def _parted(cell: Cell) -> Cell:
    if cell.arm != "local-rag-8k":
        return cell
    signals = Signals(0.9 if cell.score.correct else 0.1, False, 0.8)
    return replace(cell, score=replace(cell.score, signals=signals))


def test_the_settings_that_part_right_from_wrong_are_printed(
    command: Command, tmp_path: Path
) -> None:
    write_comparison(labelled(), tmp_path / "comparison.json")
    before = set(tmp_path.iterdir())

    ended = command("eval", "thresholds", "comparison.json", "--arm", "local-rag-8k")
    told = command("eval", "thresholds", "comparison.json", "--arm", "local-rag-8k", "--json").json

    assert ended.code == 0
    assert set(tmp_path.iterdir()) == before
    figures, _, lines = ended.out.partition("[serve]\n")
    settings = tomllib.loads(lines)
    assert ServeSettings(**settings).escalation_grounding == pytest.approx(0.5)
    assert told["settings"] == settings
    assert "of the wrong, escalated: 100 %" in figures.replace("\u00a0", " ")
    assert "of the kept, right: 100 %" in figures.replace("\u00a0", " ")
    assert told["fitted"] + told["measured"] == 120
    assert f"measured on {told['measured']} others" in figures


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ("absent", "arm 'absent' is not in this comparison"),
        ("self-route", "arm 'self-route' is a route"),
    ],
)
def test_an_arm_that_was_not_asked_is_refused(
    command: Command, tmp_path: Path, arm: str, told: str
) -> None:
    write_comparison(labelled(), tmp_path / "comparison.json")
    ended = command("eval", "thresholds", "comparison.json", "--arm", arm)
    assert ended.code == 2
    assert told in ended.err
    assert "choose of local-rag" in ended.err


def test_thresholds_are_fitted_on_the_published_comparison(command: Command) -> None:
    published = next((ROOT / "docs" / "results").glob("*/comparison.json.gz"))

    ended = command("eval", "thresholds", str(published), "--arm", "local-rag-8k", "--json")

    assert (ended.code, ended.json["measured"]) == (0, 32), ended.err
    assert round(ended.json["escalated"]["mean"] * 32) == 3


@pytest.mark.parametrize("weight", ["nan", "inf", "1e400", "-1"])
def test_a_weight_that_decides_nothing_is_refused(
    command: Command, tmp_path: Path, weight: str
) -> None:
    write_comparison(labelled(), tmp_path / "comparison.json")
    asked = ("eval", "thresholds", "comparison.json", "--arm", "local-rag-8k")

    ended = command(*asked, f"--misses-worth={weight}")

    assert ended.code == 2
    assert "--misses-worth" in ended.err


def test_too_few_answers_are_refused_with_how_many_are_needed(
    command: Command, tmp_path: Path
) -> None:
    write_comparison(labelled(copies=1), tmp_path / "comparison.json")
    ended = command("eval", "thresholds", "comparison.json", "--arm", "local-rag-8k")
    assert ended.code == 2
    assert f"at least {FEWEST_OF_EACH} of each" in ended.err
