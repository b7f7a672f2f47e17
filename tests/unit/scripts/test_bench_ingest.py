"""The benchmark of ingestion: the edition it makes, and the table that it prints."""

from __future__ import annotations

from chunking.document import Document, Section
from scripts.bench_ingest import next_edition, table

LINES = [f"Line {number} of the document" for number in range(400)]
DOCUMENT = Document(
    "peru",
    "\n".join(LINES),
    "Peru",
    "peru.json",
    sections=(Section(("Area",), 0, 500), Section(("Roads",), 500, 900)),
)


class TestTheNextEdition:
    def test_changes_about_six_lines_in_a_hundred(self) -> None:
        changed = next_edition(DOCUMENT).text.split("\n")
        different = sum(one != other for one, other in zip(LINES, changed, strict=True))
        assert 0.02 < different / len(LINES) < 0.10

    def test_keeps_every_section_where_it_stands(self) -> None:
        edition = next_edition(DOCUMENT)
        assert len(edition.text) == len(DOCUMENT.text)
        assert edition.sections == DOCUMENT.sections

    def test_is_the_same_every_time(self) -> None:
        assert next_edition(DOCUMENT) == next_edition(DOCUMENT)


def test_the_table_has_a_row_for_each_way() -> None:
    ways = [
        {
            "name": "Windowfit",
            "seconds": 1.5,
            "chunks": 1200,
            "to_forward": 1.04,
            "to_windowfit": 1,
        },
        {"name": "LlamaIndex", "seconds": 3, "chunks": 1100, "to_forward": 2.08, "to_windowfit": 2},
    ]
    rows = table({"ways": ways}).splitlines()
    assert len(rows) == 4
    assert rows[2] == "| Windowfit | 1.50 | 1,200 | 1.04 | 1.00 |"
