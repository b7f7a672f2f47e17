"""Checks a collection point by point against its records, and mends what it finds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ingest.job import Ingestion, write_documents
from retrieval.audit import Defect, Finding, audit_chunks, audit_documents
from retrieval.index import Index
from retrieval.scope import point_id
from retrieval.write_lease import take_lease


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        documents, chunks: how many were named by records and checked.
        findings: every defect.
        repaired: how many of them are mended.
        damaged: documents whose own record or text is altered; ingest their source again.
    """

    collection: str
    documents: int
    chunks: int
    findings: tuple[Finding, ...]
    repaired: int
    damaged: tuple[str, ...]
    seconds: float

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong any more."""
        return len(self.findings) == self.repaired

    @property
    def counts(self) -> dict[Defect, int]:
        """How many findings there are of each defect."""
        return dict(Counter(finding.defect for finding in self.findings))


def verify(index: Index) -> VerifyReport:
    """Return every missing, duplicate, orphaned or altered chunk and every altered document.

    Reads all points, with vectors and terms, once; nothing is embedded and nothing is changed. A
    run that is under way has chunks that no record names yet: verify afterwards.

    Raises:
        StoreError: the store failed.
    """
    started = time.perf_counter()
    findings: list[Finding] = []
    records = {}
    for one in audit_documents(index.scroll("document", fields=None)):
        if isinstance(one, Finding):
            findings.append(one)
        else:
            records[one.id] = one
    chunks = index.scroll("chunk", fields=None, vectors=True)
    splitter = index.fingerprint.splitter
    id_of = partial(point_id, "chunk")
    findings += audit_chunks(chunks, records, splitter=splitter, id_of=id_of)
    return VerifyReport(
        collection=index.name,
        documents=len(records),
        chunks=sum(len(record.chunk_ids) for record in records.values()),
        findings=tuple(findings),
        repaired=0,
        damaged=tuple(one.document for one in findings if one.chunk is None),
        seconds=time.perf_counter() - started,
    )


def repair(index: Index, begin: Callable[[], Ingestion]) -> VerifyReport:
    """Remove what should not be stored and embed again what is missing; return what was found.

    The collection is held against other writers from before it is read to after it is read again,
    so what counts as repaired was seen to be. Chunks are made from the documents in the store. A
    document that is itself altered is left as it stands, and is read again by the next run over its
    source whether its file changed or not; one that cannot be read at all is removed.

    Args:
        begin: opens the collection for writing.

    Raises:
        StoreError: the store failed, or another writer holds the collection.
    """
    unreadable = _remove_unreadable(index)
    ingestion = begin()
    with ingestion.writer as writer:
        report = verify(index)
        _mend(report, ingestion)
        writer.finish()
        left = set(verify(index).findings)
    findings = (*unreadable, *report.findings)
    damaged = {one.document for one in findings if one.chunk is None}
    repaired = [one for one in findings if one.document not in damaged and one not in left]
    return replace(report, findings=findings, damaged=tuple(damaged), repaired=len(repaired))


def _remove_unreadable(index: Index) -> list[Finding]:
    """Remove the records that nobody can read, which would keep a writer from beginning."""

    def find() -> list[Finding]:
        audited = audit_documents(index.scroll("document", fields=None))
        return [one for one in audited if isinstance(one, Finding) and one.unreadable]

    if not find():
        return []
    lease = take_lease(index)
    try:
        found = find()
        index.points.delete([one.point for one in found if one.point])
    finally:
        lease.release()
    return found


def _mend(report: VerifyReport, ingestion: Ingestion) -> None:
    damaged = set(report.damaged)
    writer = ingestion.writer
    writer.discard([one.point for one in report.findings if one.chunk is not None and one.point])
    broken = {
        one.document
        for one in report.findings
        if one.defect in {"missing", "altered"} and one.document not in damaged
    }
    if broken:
        write_documents(writer.index.documents(sorted(broken)), ingestion)
    writer.distrust(damaged)
