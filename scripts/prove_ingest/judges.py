"""Judges what the proofs of ingestion found, and draws the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from scripts.prove.page import Finding
from scripts.prove.parts import Run
from scripts.prove_ingest.metered import MIB_LIMIT

_HEAD: Final = """# Proof of ingestion

Written by `make prove-ingest`; do not edit. Each part is a command of its own, named below. The
corpus is made up by `scripts/prove_ingest/corpus.py`: two editions that differ in 6 % of their
lines and in a few documents. Two collections are equal that hold the same points with the same
payloads and vectors, and where `windowfit ingest verify` finds no defect.

| target | found | held |
|---|---|---|
"""
_LEAST: Final = {
    "kills": 200,
    "reads": 10_000,
    "documents": 200,
    "submissions": 100,
    "restarts": 20,
    "entities": 256,
    "offsets": 100,
    "files": 100,
    "megabytes": 1024,
}
"""The sizes of a whole run; what is smaller proves less and is not held."""
_TEXTS: Final = {
    "kills": "A run that brings a collection from one edition to the next is killed with SIGKILL, "
    "up to three times in a row, then run to its end.",
    "reads": "A writer brings the collection from one edition to the other and back, while readers "
    "take the chunks of one document, or of all.",
    "failures": "The embedder raises at a batch that holds a document, once, for every document; "
    "and as many threads as there are submissions start one job at the same moment.",
    "rebuilds": "A collection that holds one edition is rebuilt from the next by another splitter "
    "and embedder, killed with SIGKILL before and behind every write, and run again; then it is "
    "rebuilt again and again while readers read it.",
    "distributed": "The World Factbook with the hash embedder: once by one process, once by "
    "`--engine ray` with local workers of which one is killed half-way; every point is compared.",
    "restarts": "A real Qdrant server is killed with SIGKILL in the middle of a job and started on "
    "the same storage 0 to 1.5 s later. A client asks again within 0.8 s, so some jobs go on and "
    "others end with `vector_store_unavailable` and exit code 4; these are run again.",
    "disk": "`server` is a real Qdrant server with a log of 1 MB, its data on a tmpfs of 10 MB of "
    "which another writer leaves from nothing to all before the job, or (`server-later`) takes "
    "nearly all before the n-th write. The server refuses a little before the disk is full; where "
    "it dies instead, it is started again. `edge` is the embedded engine, which would die of a "
    "full disk by SIGBUS and therefore writes nothing below 256 MiB: on a tmpfs of 10 MB, and "
    "(`edge-later`) on a larger one of which another writer takes that reserve before the n-th "
    "write. Room is made afterwards, and the same job run again.",
    "torture": "`windowfit ingest run` on a folder of files that are empty, blank, binary, cut "
    "short, flipped, in a wrong encoding or under a wrong suffix; bombs of zip and PDF, lying "
    "ones, entities that multiply, a line of 1 GB; encrypted; links in circles, out, to devices, "
    "pipes, a socket; names that lead elsewhere or are no text; one that never stops changing. A "
    "file's time is from one document done to the next, reading to storing. Linked folders are not "
    "followed; a linked file is read as if it lay there.",
    "memory": "Articles of 2 to 20 kB as JSON lines on standard input, made up while they are "
    "read; `windowfit ingest run` into a real Qdrant server, embedded by hashes, counted by no "
    "tokenizer; resident memory of that process as the kernel has it (VmHWM).",
}


def judge(runs: Sequence[Run]) -> Iterator[Finding]:
    """Yield what the results say of the targets."""
    for run in runs:
        yield from _JUDGES[run.part](run.result)


def draw_page(runs: Sequence[Run]) -> str:
    """Return the page for the results of all parts."""
    rows = [
        f"| {finding.target} | {finding.found} | {'yes' if finding.held else '**no**'} |"
        for finding in judge(runs)
    ]
    parts = [_HEAD + "\n".join(rows) + "\n"]
    parts += [
        f"`python -m scripts.prove_ingest.{run.part}`, taken on {run.taken}: {_TEXTS[run.part]}\n"
        for run in runs
    ]
    return "\n".join(parts)


def _judge_kills(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        deaths = one["kills"] + 2 * one["boundaries"]
        yield Finding(
            f"{one['engine']}: killed at random moments, and before and behind every write",
            f"{deaths} kills, {one['landed']} of {one['kills']} random ones in mid-run; "
            f"{one['different']} collections differ",
            one["different"] == 0 and one["kills"] >= _LEAST["kills"],
        )
        yield Finding(
            f"{one['engine']}: at most one batch embedded again for each kill",
            f"{one['embedded_again']} chunks, batch {one['batch']}",
            one["embedded_again"] <= one["batch"],
        )


def _judge_reads(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        yield Finding(
            f"{one['engine']}: a reader sees the old version or the new one",
            f"{one['torn']} of {one['reads']:,} reads torn during {one['runs']} ingestions "
            f"(p99 {one['p99_ms']} ms)",
            one["torn"] == 0
            and one["runs"] > 1
            and min(one["old"], one["new"]) > 0
            and one["reads"] >= _LEAST["reads"],
        )


def _judge_failures(result: Any) -> Iterator[Finding]:
    failures, submitted = result["failures"], result["submissions"]
    yield Finding(
        f"an embedder that fails at each of {failures['documents']} documents",
        f"{failures['different']} collections differ, at most {failures['embedded_again']} chunks "
        f"embedded again (batch {failures['batch']})",
        failures["different"] == 0
        and failures["embedded_again"] <= failures["batch"]
        and failures["documents"] >= _LEAST["documents"],
    )
    yield Finding(
        f"one job submitted {submitted['submissions']} times at once",
        f"{submitted['done']} ran, {submitted['refused']} refused; {submitted['embedded']} chunks "
        f"embedded of {submitted['needed']} needed",
        not submitted["different"]
        and submitted["embedded"] == submitted["needed"]
        and submitted["submissions"] >= _LEAST["submissions"],
    )


def _judge_rebuilds(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        yield Finding(
            f"{one['engine']}: a rebuild killed before and behind every write, and run again",
            f"{2 * one['boundaries']} kills; {one['different']} collections differ, readers saw "
            f"neither the old nor the new one behind {one['torn']}",
            one["different"] == one["torn"] == 0 < one["boundaries"],
        )
        yield Finding(
            f"{one['engine']}: readers during rebuilds see the old collection or the new one",
            f"{one['torn_reads']} of {one['reads']:,} reads torn in {one['rebuilds']} rebuilds",
            one["torn_reads"] == 0 < one["reads"],
        )


def _judge_distributed(result: Any) -> Iterator[Finding]:
    one = result
    yield Finding(
        "`--engine ray` ends in the same collection, a worker being killed half-way",
        f"{one['workers']} workers, {one['killed']} killed: {one['files']} files, "
        f"{one['chunks']:,} chunks; {one['different']} of {one['points']:,} points differ",
        one["held"] and one["files"] >= _LEAST["entities"],
    )


def _judge_restarts(result: Any) -> Iterator[Finding]:
    for one in result["transports"]:
        yield Finding(
            f"{one['transport']}: the server killed and started again in mid-job",
            f"{one['restarts']} restarts, {one['landed']} in mid-job: {one['survived']} jobs went "
            f"on, {one['failed']} ended with a typed error, {one['otherwise']} otherwise; "
            f"{one['different']} collections differ, at most {one['embedded_again']} chunks "
            f"embedded again (batch {one['batch']}); longest job {one['longest_seconds']} s",
            not (one["otherwise"] or one["different"])
            and one["landed"] > 0
            and one["embedded_again"] <= one["batch"]
            and one["restarts"] >= _LEAST["restarts"],
        )


def _judge_disk(result: Any) -> Iterator[Finding]:
    target = "a disk that is full, or becomes it"
    if "skipped" in result:
        yield Finding(target, f"could not run: {result['skipped']}", held=False)
    offsets = {"server": 0, "edge": 0}
    for one in result["kinds"]:
        offsets[one["kind"].partition("-")[0]] += one["offsets"]
    for one in result["kinds"]:
        yield Finding(
            f"{one['kind']}: {target}",
            f"{one['offsets']} places: {one['refused']} typed errors ({one['midway']} in mid-job), "
            f"{one['done']} jobs done, {one['otherwise']} otherwise; {one['died']} servers died; "
            f"with room again {one['different']} collections differ, at most "
            f"{one['embedded_again']} chunks embedded again (batch {one['batch']})",
            not (one["otherwise"] or one["different"] or one["changed"])
            and one["refused"] > 0
            and one["embedded_again"] <= one["batch"]
            and min(offsets.values()) >= _LEAST["offsets"],
        )


def _judge_torture(result: Any) -> Iterator[Finding]:
    one = result
    yield Finding(
        "hostile files: no crash, every one ingested or quarantined with a reason",
        f"{one['files']} documents: {one['ingested']} ingested, {one['quarantined']} quarantined, "
        f"{one['unexplained']} without a reason, {one['lost']} lost; {one['good_ingested']} "
        f"of {one['good']} good ones ingested; exit code {one['exit_code']}; run again "
        f"{one['embedded_again']} chunks embedded",
        one["held"] and one["files"] >= _LEAST["files"],
    )
    yield Finding(
        "hostile files: none takes longer than 30 s, nothing outside is read, memory is bounded",
        f"{one['longest_seconds']} s at most; {'LEAKED' if one['leaked'] else 'nothing leaked'}; "
        f"{one['peak_mib']} MiB resident, {one['all_mib']} with the reader; longest line "
        f"{one['line_megabytes']} MB",
        one["held"] and one["line_megabytes"] >= _LEAST["megabytes"],
    )


def _judge_memory(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        yield Finding(
            f"{one['engine']}: 1 GB within 1.5 GB resident",
            f"{one['megabytes']:,} MB, {one['documents']:,} documents, {one['chunks']:,} chunks: "
            f"{one['peak_mib']:,} MiB at most, {one['third_mib']:,} after a third of it",
            one["exit_code"] == 0
            and one["peak_mib"] <= MIB_LIMIT
            and one["megabytes"] >= _LEAST["megabytes"],
        )


_JUDGES: Final[Mapping[str, Callable[[Any], Iterator[Finding]]]] = {
    "kills": _judge_kills,
    "reads": _judge_reads,
    "failures": _judge_failures,
    "rebuilds": _judge_rebuilds,
    "distributed": _judge_distributed,
    "restarts": _judge_restarts,
    "disk": _judge_disk,
    "torture": _judge_torture,
    "memory": _judge_memory,
}
