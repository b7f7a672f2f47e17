"""Lists the files that a job goes through: those of its source, or what was sent along with it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.job_store import JobStore
from ingest.jobs import Job
from ingest.labels import Labelling
from ingest.lines import STANDARD_INPUT, stream_lines
from ingest.readers.sandbox import Sandbox
from ingest.sources import FACTBOOK, list_source
from ingest.texts import SourceFile
from retrieval.settings import IndexSettings


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The files that a job goes through.

    Attributes:
        narrowed: whether they are quarantined ones alone.
    """

    files: Iterable[SourceFile]
    narrowed: bool = False


def absolute_source(source: str) -> str:
    """Return a source that means the same in any folder, for the record of a job."""
    return source if source in {FACTBOOK, STANDARD_INPUT} else str(Path.cwd() / source)


def list_files(
    job: Job, store: JobStore, *, settings: IndexSettings, within: Path | None = None
) -> JobFiles:
    """Return the files that a job goes through, labelled, or its quarantined ones alone.

    Lines of JSONL are all gone through in a retry, too: a line that was repaired may have another
    name now; and so are all files where a quarantined one is not there any more. Those that are
    unchanged cost nothing.

    Raises:
        InputError: the source is not there any more.
        ConfigurationError: a rule of labels cannot be read.
    """
    if job.document_count:
        files: Iterable[SourceFile] = document_files(store.documents(job))
    else:
        files = list_source(job.source, factbook=settings.factbook, within=within)
    files = Labelling.of(settings, job.label).apply(files)
    told = job.counts.quarantined if job.counts is not None else 0
    if not (job.retry and isinstance(files, Sequence)) or told > len(job.quarantined):
        return JobFiles(files)
    names = {one.name for one in job.quarantined}
    if not names <= {file.name for file in files}:
        # Repaired under another name, maybe: what is unchanged costs nothing.
        return JobFiles(files)
    return JobFiles(tuple(file for file in files if file.name in names), narrowed=True)


def document_files(documents: Sequence[Mapping[str, Any]]) -> Iterator[SourceFile]:
    """Yield the source files of documents that were sent along, read as lines of JSONL are."""
    lines = "".join(f"{json.dumps(one, ensure_ascii=True)}\n" for one in documents)
    stream = io.BytesIO(lines.encode())
    return stream_lines(stream, name="documents", source="documents", sandbox=Sandbox())
