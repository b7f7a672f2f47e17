from __future__ import annotations

from typing import Any

import pytest

from scripts.prove.parts import Run
from scripts.prove_ingest.judges import draw_page, judge

RESTARTS: dict[str, Any] = {
    "transport": "rest", "restarts": 20, "landed": 20, "survived": 5, "failed": 15, "otherwise": 0,
    "different": 0, "embedded_again": 32, "batch": 32, "longest_seconds": 2.3,
}  # fmt: skip
DISK: dict[str, Any] = {
    "kind": "server", "offsets": 100, "refused": 90, "midway": 40, "done": 10, "otherwise": 0,
    "died": 3, "changed": 0, "different": 0, "embedded_again": 32, "batch": 32,
}  # fmt: skip
TORTURE: dict[str, Any] = {
    "files": 422, "ingested": 83, "quarantined": 339, "unexplained": 0, "lost": 0, "good": 12,
    "good_ingested": 12, "exit_code": 3, "longest_seconds": 25.2, "leaked": False, "peak_mib": 755,
    "all_mib": 1505, "embedded_again": 0, "line_megabytes": 1024, "held": True,
}  # fmt: skip
MEMORY: dict[str, Any] = {
    "engine": "qdrant", "megabytes": 1024, "documents": 9, "chunks": 99, "peak_mib": 600,
    "third_mib": 300, "exit_code": 0,
}  # fmt: skip


REBUILDS: dict[str, Any] = {
    "engine": "edge", "boundaries": 28, "different": 0, "torn": 0, "reads": 900, "torn_reads": 0,
    "rebuilds": 7,
}  # fmt: skip
DISTRIBUTED: dict[str, Any] = {
    "workers": 2, "killed": 1, "files": 256, "chunks": 11_960, "different": 0, "points": 12_218,
    "held": True,
}  # fmt: skip


def run_of(part: str, **changed: Any) -> Run:
    results: dict[str, Any] = {
        "restarts": {"transports": [{**RESTARTS, **changed}]},
        "disk": {"kinds": [{**DISK, **changed}, {**DISK, "kind": "edge"}]},
        "torture": {**TORTURE, **changed},
        "memory": {"engines": [{**MEMORY, **changed}]},
        "rebuilds": {"engines": [{**REBUILDS, **changed}]},
        "distributed": {**DISTRIBUTED, **changed},
    }
    return Run(part, results[part], "2026-11-21")


PARTS = ("restarts", "disk", "torture", "memory", "rebuilds", "distributed")


@pytest.mark.parametrize("part", PARTS)
def test_results_that_meet_their_targets_are_held(part: str) -> None:
    assert all(finding.held for finding in judge([run_of(part)]))


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("restarts", {"different": 1}),
        ("restarts", {"otherwise": 1}),
        ("restarts", {"embedded_again": 33}),
        ("restarts", {"landed": 0}),
        ("restarts", {"restarts": 19}),
        ("disk", {"different": 1}),
        ("disk", {"otherwise": 1}),
        ("disk", {"changed": 1}),
        ("disk", {"refused": 0}),
        ("disk", {"offsets": 99}),
        ("rebuilds", {"different": 1}),
        ("rebuilds", {"torn": 1}),
        ("rebuilds", {"torn_reads": 1}),
        ("rebuilds", {"reads": 0}),
        ("distributed", {"held": False}),
        ("distributed", {"files": 255}),
        ("torture", {"held": False}),
        ("torture", {"files": 99}),
        ("torture", {"line_megabytes": 64}),
        ("memory", {"peak_mib": 1537}),
        ("memory", {"megabytes": 30}),
        ("memory", {"exit_code": 4}),
    ],
)
def test_a_result_that_misses_its_target_is_not_held(part: str, changed: dict[str, Any]) -> None:
    assert not all(finding.held for finding in judge([run_of(part, **changed)]))


def test_a_disk_that_could_not_be_mounted_is_told_and_not_held() -> None:
    result = {"skipped": "nobody may mount", "kinds": [], "held": False}
    [finding] = judge([Run("disk", result, "2026-11-21")])

    assert not finding.held
    assert "nobody may mount" in finding.found


def test_the_page_names_every_target_and_the_command_of_every_part() -> None:
    runs = [run_of(part) for part in PARTS]
    page = draw_page(runs)

    assert all(finding.target in page for finding in judge(runs))
    assert all(f"`python -m scripts.prove_ingest.{part}`" in page for part in PARTS)
