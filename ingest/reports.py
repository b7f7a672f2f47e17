"""Prints what the verbs of `windowfit ingest` found or did: for people, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from ingest.changes import Quarantined
from ingest.jobs import RESUMABLE, Job
from ingest.plan import IngestPlan
from ingest.tally import IngestReport
from ingest.verify import VerifyReport
from ingest.work import Repeated
from retrieval.status import CollectionStatus

_FINDINGS_SHOWN = 20


def print_job(report: IngestReport, *, as_json: bool, job: Job) -> None:
    """Print what a run did."""
    if as_json:
        _print_json({**asdict(report), "job": job.id})
        return
    _print_report(_console(), report)


def print_jobs(repeated: Repeated, *, retry: bool, as_json: bool) -> None:
    """Print what became of the jobs that were left; why one failed is told by its error."""
    if as_json:
        failed = [{"id": one.job.id, "code": one.error.code} for one in repeated.failures]
        _print_json({"jobs": [job_facts(one.job) for one in repeated.runs], "failed": failed})
        return
    console = _console()
    if repeated == Repeated():
        what = (
            "retry: no job quarantined documents" if retry else "resume: every job came to its end"
        )
        console.print(f"nothing to {what}")
    for left in repeated.elsewhere:
        console.print(f"job {left.id}: left to the live process on another machine", markup=False)
    for failure in repeated.failures:
        console.print(f"job {failure.job.id}: {failure.error.code}", markup=False)
    for one in repeated.runs:
        told = f"job {one.job.id}, attempt {one.job.attempts}: {_source_of(one.job)}"
        console.print(told, markup=False)
        _print_report(console, one.report)


def print_removal(collection: str, documents: Sequence[str], chunks: int, *, as_json: bool) -> None:
    """Print which documents were removed, and how many chunks with them."""
    if as_json:
        _print_json({"collection": collection, "removed": documents, "removed_chunks": chunks})
        return
    _console().print(f"removed {len(documents):,} documents, {chunks:,} chunks")


def job_facts(job: Job) -> dict[str, Any]:
    """Return what is told of a job: all but what processes need to agree on it."""
    inner = {"key", "request", "holder", "presence", "revision"}
    return {name: value for name, value in asdict(job).items() if name not in inner}


def _console() -> Console:
    """Return what prints a line as one, however wide the terminal is, or the pipe."""
    return Console(highlight=False, soft_wrap=True)


def _source_of(job: Job) -> str:
    if job.source:
        return job.source
    if job.document_count:
        return f"{job.document_count:,} documents sent along"
    return "the stored documents"


def _print_report(console: Console, report: IngestReport) -> None:
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
    if report.unpruned:
        console.print(
            f"  nothing was pruned, as places of the source could not be listed: "
            f"{report.unpruned:,} documents may be gone from it"
        )
    if report.relabelled:
        console.print(f"  {report.relabelled:,} stored documents have another label now")
    if report.recounted:
        console.print(f"  {report.recounted:,} unchanged documents counted by another tokenizer")
    _print_quarantined(console, report.quarantined)


def print_plan(plan: IngestPlan, *, as_json: bool) -> None:
    """Print what a run would do."""
    if as_json:
        _print_json(asdict(plan))
        return
    console = _console()
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
    if plan.relabelled:
        console.print(f"  stored documents to be given another label: {plan.relabelled:,}")
    if plan.removed:
        console.print(f"  not in the source any more: {len(plan.removed):,} (removed by --prune)")
    _print_quarantined(console, plan.quarantined)


def print_status(status: CollectionStatus, job: Job | None, *, as_json: bool) -> None:
    """Print what a collection holds, and how its last job stands."""
    if as_json:
        _print_json({**asdict(status), "last_job": None if job is None else job_facts(job)})
        return
    console = _console()
    console.print(
        f"collection {status.collection}: {status.documents:,} documents, "
        f"{status.chunks:,} chunks, {status.characters:,} characters"
    )
    labels = ", ".join(f"{count:,} {label}" for label, count in status.labels.items())
    console.print(f"  documents by label: {labels or 'none'}")
    console.print(f"  embedder {status.embedder}, splitter {status.splitter}")
    ended = "came to its end" if status.swept else "did not come to its end: run it again"
    console.print(
        f"  the last run {ended}; chunks stored but not visible: {status.hidden_chunks:,}"
    )
    if status.writer is not None:
        console.print(f"  being changed by {status.writer}")
    if job is not None:
        _print_last(console, job)


def _print_last(console: Console, job: Job) -> None:
    told = f"  last job {job.id}: {job.state}, attempt {job.attempts}, submitted {job.submitted}"
    console.print(told, markup=False)
    if job.state == "partial" and job.counts is not None:
        console.print(
            f"    {job.counts.quarantined:,} documents quarantined: `windowfit ingest retry "
            f"--collection {job.collection}` when they are repaired"
        )
    if job.error is not None:
        console.print(f"    {job.error.message} ({job.error.hint})", markup=False)
    if job.state in RESUMABLE:
        console.print(f"    `windowfit ingest resume --collection {job.collection}` goes on")


def print_verification(report: VerifyReport, *, as_json: bool) -> None:
    """Print every defect, the first of many one a line."""
    if as_json:
        _print_json({**asdict(report), "intact": report.intact, "counts": report.counts})
        return
    console = _console()
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
