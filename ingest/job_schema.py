"""Jobs as they go over the wire."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from chunking.counters import well_formed
from chunking.sensitivity import Sensitivity
from ingest.changes import Quarantined
from ingest.jobs import Counts, Job, JobError, State
from ingest.lines import ID_LIMIT, STANDARD_INPUT
from ingest.source_folder import SourceFolder

DOCUMENTS_LIMIT = 1000
"""Most documents sent along with one job."""

_FOLDERS = re.compile(r"""(?:^|(?<=[\s'"`(\[<=,:]))/(?:[^/\n'"]+/)*(?=[^\s/])""")
"""The folders of a path from the root, up to its last part; they may have spaces in their names."""

Text = Annotated[str, AfterValidator(well_formed)]
"""A text that every store can hold: half characters are replaced."""


class SentDocument(BaseModel):
    """A document that is sent along with a job."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[Text, Field(min_length=1, max_length=ID_LIMIT, description="name, kept for good")]
    text: Annotated[Text, Field(min_length=1)]
    title: Text = ""
    media_type: Literal["text/plain", "text/markdown", "text/html"] = "text/plain"
    date: Annotated[Text | None, Field(description="ISO 8601, as the source states it")] = None
    sensitivity: Annotated[
        Sensitivity | None, Field(description="how far the text may travel; null states nothing")
    ] = None


class JobRequest(BaseModel):
    """What a job shall bring into a collection: a source, or the documents themselves."""

    model_config = ConfigDict(extra="forbid")

    collection: Annotated[Text, Field(min_length=1, max_length=128)]
    source: Annotated[
        Text | None,
        Field(min_length=1, max_length=4096, description="place below the folder of sources"),
    ] = None
    documents: Annotated[
        tuple[SentDocument, ...] | None, Field(min_length=1, max_length=DOCUMENTS_LIMIT)
    ] = None
    prune: Annotated[
        bool, Field(description="remove documents of the collection that are not among these")
    ] = False
    sensitivity: Annotated[
        Sensitivity | None,
        Field(description="the least label of all documents of the job; null states none"),
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.source is None) == (self.documents is None):
            raise ValueError("give exactly one of 'source' and 'documents'")
        return self

    def lines(self) -> list[dict[str, Any]]:
        """Return the documents as lines of JSONL state them."""
        sent = self.documents or ()
        stated = (one.model_dump(mode="json", exclude_none=True) for one in sent)
        return [line | {"source": _source_of(one)} for one, line in zip(sent, stated, strict=True)]


def _source_of(document: SentDocument) -> str:
    # One name from job to job: the document may then be replaced, and by no file of its name.
    return f"sent:{document.id}"


class JobEntry(BaseModel):
    """A job in a list."""

    id: str
    collection: str
    source: str | None
    document_count: int
    prune: bool
    sensitivity: Sensitivity | None
    state: State
    attempts: int
    submitted: str
    started: str | None
    ended: str | None
    counts: Counts | None
    error: JobError | None
    holder: str | None

    @classmethod
    def fields_of(cls, job: Job, sources: SourceFolder) -> dict[str, Any]:
        """Return the fields of a job that callers may see."""
        told = asdict(job)
        shown = {name: told[name] for name in cls.model_fields if name in told}
        source = sources.shown(job.source) if job.source != STANDARD_INPUT else job.source
        if job.error is not None:
            hide = partial(_without_paths, job=job, sources=sources)
            message, hint = hide(job.error.message), hide(job.error.hint)
            shown["error"] = replace(job.error, message=message, hint=hint)
        label = {"sensitivity": job.label}
        return shown | label | {"source": source or None, "holder": holder_of(job)}

    @classmethod
    def of(cls, job: Job, sources: SourceFolder) -> Self:
        """Return a job as callers may see it."""
        return cls(**cls.fields_of(job, sources))


class JobView(JobEntry):
    """A job with the documents that it quarantined, the first ten thousand of them."""

    quarantined: tuple[Quarantined, ...]

    @classmethod
    def fields_of(cls, job: Job, sources: SourceFolder) -> dict[str, Any]:
        """Return the fields of a job that callers may see."""
        hide = partial(_without_paths, job=job, sources=sources)
        told = (
            replace(one, reason=hide(one.reason), hint=hide(one.hint)) for one in job.quarantined
        )
        return super().fields_of(job, sources) | {"quarantined": tuple(told)}


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: tuple[JobEntry, ...]


def _without_paths(text: str, job: Job, sources: SourceFolder) -> str:
    """Return what is told of a job with no path of this machine in it."""
    if job.source.startswith("/"):
        # First of all, as its name may hold anything.
        whole = rf"(?<![\w.-]){re.escape(job.source)}(?![\w.-])"
        text = re.sub(whole, lambda _: sources.shown(job.source), text)
    if sources.root is not None:
        text = text.replace(f"{sources.root.resolve()}/", "")
    return _FOLDERS.sub("", text)


def holder_of(job: Job) -> str | None:
    """Return who takes care of a job, for people; None where nobody does."""
    if job.holder is None or not job.in_flight:
        return None
    return f"process {job.holder.pid} on {job.holder.host.partition('/')[0]}"
