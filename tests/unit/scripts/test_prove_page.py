from __future__ import annotations

from typing import Any

import pytest

from scripts.prove.page import draw_page, judge

FAMILY: dict[str, Any] = {
    "family": "mistral:v3",
    "oracle": "mistral-common",
    "requests": 10_000,
    "differences": 0,
    "refused": 3,
    "tools": 900,
    "sources": 12_000,
    "prompt_tokens": 5_000_000,
    "longest": 8000,
}
COMPLETIONS = {
    "requests": 500,
    "answered": 500,
    "drifted": 0,
    "refused_for_length": 0,
    "prompt_tokens": 100_000,
    "full_windows": 3,
    "longest": 7680,
}
CUTS = {"cuts": 500, "found": 500, "honest": 5000, "accused": 0}
LAWS = {"cases": 100_000, "broken": {}, "merged": 9, "duplicates": 8, "trimmed": 7, "dropped": 6}


def test_results_that_meet_their_targets_are_held() -> None:
    results = {"fuzz": {"families": [FAMILY]}, "completions": COMPLETIONS, "cuts": CUTS}
    findings = [finding for part in results for finding in judge(part, results[part])]

    assert len(findings) == 5
    assert all(finding.held for finding in findings)


@pytest.mark.parametrize(
    ("part", "result"),
    [
        ("fuzz", {"families": [{**FAMILY, "differences": 1}]}),
        ("fuzz", {"families": [{**FAMILY, "requests": 9999}]}),
        ("completions", {**COMPLETIONS, "drifted": 1}),
        ("completions", {**COMPLETIONS, "answered": 499}),
        ("completions", {**COMPLETIONS, "refused_for_length": 1}),
        ("cuts", {**CUTS, "found": 499}),
        ("cuts", {**CUTS, "accused": 1}),
        ("laws", {**LAWS, "broken": {"nothing overflows": 1}}),
        ("laws", {**LAWS, "cases": 99_999}),
    ],
)
def test_a_result_that_misses_its_target_is_not_held(part: str, result: Any) -> None:
    assert not all(finding.held for finding in judge(part, result))


def test_the_page_names_every_target_and_when_it_was_taken() -> None:
    page = draw_page({"cuts": (CUTS, "2026-11-21"), "laws": (LAWS, "2026-11-20")})

    assert "| silent truncations found | 500 of 500 | yes |" in page
    assert "Taken on 2026-11-20." in page
    assert "| 100,000 | 9 | 8 | 7 | 6 |" in page
