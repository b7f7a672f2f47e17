"""Real files of other projects are read: the words that these expect, in order."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from chunking.errors import UnreadableDocument
from ingest.sources import list_source
from scripts.prove.formats import measure, summary

FLOORS = {
    "adoc": 0.92,
    "csv": 1.0,
    "docx": 0.98,
    "epub": 0.99,
    "html": 0.96,
    "md": 1.0,
    "odt, odp, ods": 0.88,
    "pdf": 0.94,
    "pptx": 0.88,
    "vtt": 1.0,
    "xls": 1.0,
    "xlsx": 0.77,
}
"""Shares of the expected words that were read when this was written, a little rounded down."""
FILE_SECONDS = 30.0
REFUSED = {
    "2206.01062_pg3.pdf": "encrypted",
    "MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "no text on 3 pages",
    "MEDRPT-2024-PAT-3847_medical_report_scan.md": "empty",
    "test_mskanji.csv": "invalid utf-8",
}
UNSUPPORTED = {".doc", ".ppt", ".png", ".ipynb", ".xml"}


@pytest.fixture(scope="module")
def documents() -> Path:
    data = os.environ.get("WINDOWFIT_TEST_DATA")
    folder = Path(data or "", "documents")
    if not data or not folder.is_dir():
        pytest.skip("WINDOWFIT_TEST_DATA does not name a folder with `documents`")
    return folder


def test_each_format_is_read_as_well_as_it_was(documents: Path) -> None:
    rows = summary(measure(documents))
    shares = {kind: row["word_share"] for kind, row in rows.items() if kind in FLOORS}
    assert shares.keys() == FLOORS.keys()
    assert {kind: share for kind, share in shares.items() if share < FLOORS[kind]} == {}


def test_every_file_is_read_in_time_or_refused_for_a_known_reason(documents: Path) -> None:
    refused: dict[str, str] = {}
    for file in list_source(str(documents), factbook=documents):
        started = time.monotonic()
        try:
            document = file.read()
            assert document.text.strip()
            assert document.title
            assert all(s.start <= s.end <= len(document.text) for s in document.sections)
        except UnreadableDocument as error:
            refused[file.name] = error.message.removeprefix(f"{file.name}: ")
        assert time.monotonic() - started < FILE_SECONDS
    unknown = {
        name: reason
        for name, reason in refused.items()
        if Path(name).suffix not in UNSUPPORTED
        and not reason.startswith(REFUSED.get(Path(name).name, "?"))
    }
    assert unknown == {}


def test_reading_a_file_again_gives_the_same_document(documents: Path) -> None:
    folder = documents / "docling"
    for name in ("pdf/sources/redp5110_sampled.pdf", "docx/sources/docx_lists.docx"):
        [first] = list_source(str(folder / name), factbook=folder)
        [again] = list_source(str(folder / name), factbook=folder)
        assert first.read() == again.read()
