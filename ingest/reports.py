"""Prints what the verbs of `windowfit ingest` found or did: for people, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console

from ingest.changes import Quarantined
from ingest.job import IngestReport
from ingest.plan import IngestPlan
from ingest.verify import VerifyReport
from retrieval.status import CollectionStatus

_FINDINGS_SHOWN = 20


def print_job(report: IngestReport, *, as_json: bool) -> None:
    """Print what a run did."""
    if as_json:
        _print_json(asdict(report))
        return
    console = Console(highlight=False)
    console.print(
        f"collection {report.collection}: {report.collection_documents:,} documents, "
        f"{report.collection_chunks:,} chunks"
    )
    console.print(
        f"this run: {report.files:,} files = {report.written:,} written + "
        f"{report.unchanged:,} unchanged + {len(report.quarantined):,} quarantined; "
        f"{report.embedded_chunks:,} chunks embedded in {report.seconds:.1f} s"
    )
    if report.kept_chunks or report.removed_documents or report.removed_chunks:
        console.print(
            f"  {report.kept_chunks:,} chunks of written documents were stored already; removed: "
            f"{report.removed_documents:,} documents, {report.removed_chunks:,} chunks"
        )
    if report.carried:
        console.print(f"  {report.carried:,} documents carried over: the source does not have them")
    if report.recounted:
        console.print(f"  {report.recounted:,} unchanged documents counted by another tokenizer")
    _print_quarantined(console, report.quarantined)


def print_plan(plan: IngestPlan, *, as_json: bool) -> None:
    """Print what a run would do."""
    if as_json:
        _print_json(asdict(plan))
        return
    console = Console(highlight=False)
    console.print(
        f"collection {plan.collection}: {plan.files:,} files = {plan.new:,} new + "
        f"{plan.changed:,} changed + {plan.unchanged:,} unchanged + "
        f"{len(plan.quarantined):,} quarantined"
    )
    console.print(
        f"to embed: {plan.embedded_chunks:,} of {plan.chunks:,} chunks, "
        f"{plan.embedded_tokens:,} tokens of the embedder; {plan.cost_usd:.2f} USD"
    )
    if plan.seconds is not None:
        console.print(f"  about {plan.seconds:,.0f} s, estimated from a sample embedded now")
    if plan.removed:
        console.print(f"  not in the source any more: {len(plan.removed):,} (removed by --prune)")
    _print_quarantined(console, plan.quarantined)


def print_status(status: CollectionStatus, *, as_json: bool) -> None:
    """Print what a collection holds."""
    if as_json:
        _print_json(asdict(status))
        return
    console = Console(highlight=False)
    console.print(
        f"collection {status.collection}: {status.documents:,} documents, "
        f"{status.chunks:,} chunks, {status.characters:,} characters"
    )
    console.print(f"  embedder {status.embedder}, splitter {status.splitter}")
    ended = "came to its end" if status.swept else "did not come to its end: run it again"
    console.print(
        f"  the last run {ended}; chunks stored but not visible: {status.hidden_chunks:,}"
    )
    if status.writer is not None:
        console.print(f"  being changed by {status.writer}")


def print_verification(report: VerifyReport, *, as_json: bool) -> None:
    """Print every defect, the first of many one a line."""
    if as_json:
        _print_json({**asdict(report), "intact": report.intact, "counts": report.counts})
        return
    console = Console(highlight=False)
    found = ", ".join(f"{count:,} {defect}" for defect, count in sorted(report.counts.items()))
    console.print(
        f"collection {report.collection}: {report.documents:,} documents, {report.chunks:,} chunks "
        f"checked in {report.seconds:.1f} s: {found or 'no defect'}"
    )
    for one in report.findings[:_FINDINGS_SHOWN]:
        what = f"chunk {one.chunk}" if one.chunk else "the document itself"
        console.print(f"  {one.defect}: {what} of {one.document}", markup=False)
    if len(report.findings) > _FINDINGS_SHOWN:
        console.print(f"  and {len(report.findings) - _FINDINGS_SHOWN:,} more (--json names all)")
    if report.repaired:
        console.print(f"  repaired: {report.repaired:,}")
    if report.damaged:
        console.print(f"  run the ingestion of {len(report.damaged):,} altered documents again")


def _print_quarantined(console: Console, quarantined: Iterable[Quarantined]) -> None:
    for item in quarantined:
        console.print(f"  quarantined: {item.reason} ({item.hint})", markup=False)


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
