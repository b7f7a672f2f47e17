"""Tells which files of a source differ from what a collection holds; reads no more than it must."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chunking.document import Document
from chunking.errors import UnreadableDocument, UnreadableLabel
from chunking.sensitivity import Sensitivity
from ingest.files import refused_file
from ingest.texts import SourceFile
from retrieval.records import DocumentRecord


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file that could not be ingested, and why.

    Attributes:
        hides_others: whether it stands for documents whose names could not be listed.
        label: what the version of it that the collection holds is labelled now, where the source
            states a higher label than it has; empty where it stays as it is.
    """

    name: str
    code: str
    reason: str
    hint: str
    hides_others: bool = False
    label: str = ""

    @classmethod
    def of(
        cls, name: str, error: UnreadableDocument, *, hides_others: bool = False, label: str = ""
    ) -> Quarantined:
        """Return the file with what was wrong with it."""
        return cls(name, error.code, error.message, error.hint, hides_others, label)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that the collection holds as it is."""

    name: str


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A file that the collection holds as it is, but for its label."""

    name: str
    sensitivity: Sensitivity


Found = Document | Unchanged | Relabelled | Quarantined
"""What a file is beside what a collection holds."""


def compare(
    files: Iterable[SourceFile],
    records: Mapping[str, DocumentRecord],
    *,
    counted_by: Collection[str] = (),
    origins: Mapping[str, DocumentRecord] | None = None,
) -> Iterator[Found]:
    """Yield for every file its document, or that it is unchanged, or why it cannot be read.

    A file whose bytes are those that were ingested is not even parsed, unless a tokenizer of
    `counted_by` has not counted it.

    Args:
        counted_by: identities of tokenizers.
        origins: documents whose names belong to the files they came from; `records` if None.
    """
    origins = records if origins is None else origins
    for file in named_once(files):
        origin = origins.get(file.name)
        yield examine(file, records.get(file.name), counted_by=counted_by, origin=origin)


def named_once(files: Iterable[SourceFile]) -> Iterator[SourceFile]:
    """Yield the files; a second one of the same name is one that cannot be read."""
    seen: set[str] = set()
    for file in files:
        yield refused_file(file.name, named_twice(file.name)) if file.name in seen else file
        seen.add(file.name)


def named_twice(name: str) -> UnreadableDocument:
    """Return why a second document of a name is not read."""
    return UnreadableDocument(
        f"{name}: the source has two documents of this name",
        hint="give each its own name or id",
        param=name,
    )


def examine(
    file: SourceFile,
    record: DocumentRecord | None,
    *,
    origin: DocumentRecord | None,
    counted_by: Collection[str] = (),
) -> Found:
    """Return the document of a file, or what else there is to say of it; see `compare`.

    Args:
        origin: the document that the name belongs to, if any.
    """
    held = origin or record
    label_of = partial(file.sensitivity, None if held is None else held.sensitivity)
    sensitivity = label_of()
    try:
        data = file.load()
        sensitivity = label_of(own=file.states(data))
        document = _read(file, data, record, counted_by)
    except UnreadableDocument as error:
        if isinstance(error, UnreadableLabel):
            # Somebody meant to protect it: what the collection holds of it does not stay open.
            sensitivity = Sensitivity.RESTRICTED
        label = raised_label(held, sensitivity)
        return Quarantined.of(file.name, error, hides_others=file.hides_others, label=label)
    if document is None:
        changed = record is not None and record.sensitivity is not sensitivity
        return Relabelled(file.name, sensitivity) if changed else Unchanged(file.name)
    try:
        _check_origin(document, origin)
    except UnreadableDocument as error:
        return Quarantined.of(file.name, error)
    return replace(document, sensitivity=sensitivity)


def raised_label(held: DocumentRecord | None, sensitivity: Sensitivity) -> str:
    """Return the label that a stored version gets whose successor cannot be read; empty for none.

    It may be raised unread, and not lowered: what the label was stated for is not there.
    """
    return sensitivity.value if held is not None and held.sensitivity < sensitivity else ""


def _read(
    file: SourceFile, data: bytes, record: DocumentRecord | None, counted_by: Collection[str]
) -> Document | None:
    """Return the document of a file; None where the index holds it as it is."""
    digest = file.digest(data)
    if record is not None and record.digest == digest and record.counts.keys() >= set(counted_by):
        return None
    return replace(file.parse(data), digest=digest)


def _check_origin(document: Document, record: DocumentRecord | None) -> None:
    """Refuse to replace a document by another file that happens to have the same name.

    A source that is gone has moved, and its document is brought up to date from the new place.
    """
    if record is None or record.source == document.source or not Path(record.source).exists():
        return
    raise UnreadableDocument(
        f"{document.id}: this name is taken in the collection by {record.source}",
        hint="ingest it into another collection, or rename the file or its folder",
        param=document.id,
    )
