"""Presentations become a section per slide."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.slides import read_slides
from tests.written_files import docx, pptx, properties, shape


def text_of(*slides: str) -> str:
    return read_slides(pptx(slides), name="a.pptx").text.strip()


def test_a_slide_is_a_section_under_its_number_and_title() -> None:
    data = pptx([shape("Ducks", kind="title") + shape("salt", "fresh"), shape("end")])
    reading = read_slides(data, name="a.pptx")
    assert reading.text == "# Slide 1: Ducks\n\nsalt\nfresh\n\n# Slide 2\n\nend\n\n"
    assert [section.path for section in reading.sections] == [("Slide 1: Ducks",), ("Slide 2",)]


def test_shapes_are_read_from_top_to_bottom() -> None:
    assert text_of(shape("low", top=900) + shape("high", top=10)).split() == [
        "#", "Slide", "1", "high", "low",
    ]  # fmt: skip


def test_what_repeats_on_every_slide_is_left_out() -> None:
    furniture = "".join(shape("x", kind=kind) for kind in ("sldNum", "dt", "ftr"))
    assert text_of(furniture + shape("text")) == "# Slide 1\n\ntext"


def test_lists_keep_their_levels_and_numbers() -> None:
    paragraphs = "".join(
        f"<a:p><a:pPr {level}>{sign}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>"
        for level, sign, text in (
            ("", "<a:buAutoNum/>", "one"),
            ('lvl="1"', "", "below"),
            ("", "<a:buAutoNum/>", "two"),
            ("", "<a:buChar/>", "dot"),
        )
    )
    drawn = f"<p:sp><p:spPr/><p:txBody>{paragraphs}</p:txBody></p:sp>"
    assert text_of(drawn) == "# Slide 1\n\n1. one\n  - below\n2. two\n- dot"


def test_tables_groups_and_unknown_shapes_are_read() -> None:
    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    rows = "".join(
        f"<a:tr>{''.join(map(cell.format, row))}</a:tr>" for row in (["a", "b"], ["1", "2"])
    )
    drawn = f"<a:tbl><a:tblPr firstRow='1'/>{rows}</a:tbl>"
    table = f"<p:graphicFrame><a:graphic>{drawn}</a:graphic></p:graphicFrame>"
    group = f"<p:grpSp><p:grpSpPr/>{shape('inner')}</p:grpSp>"
    forms = f"<Choice>{shape('new')}</Choice><Fallback>{shape('old')}</Fallback>"
    unknown = f"<AlternateContent>{forms}</AlternateContent>"
    text = text_of(table + group + unknown)
    assert text == "# Slide 1\n\na | b\na: 1; b: 2\n\ninner\n\nnew"


def test_the_file_states_its_title_and_date() -> None:
    data = pptx([shape("x")], core=properties(title="Talk", modified="2024-01-31"))
    reading = read_slides(data, name="a.pptx")
    assert (reading.title, reading.date) == ("Talk", "2024-01-31")


def test_what_is_no_presentation_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.pptx: no presentation inside, but document"):
        read_slides(docx(""), name="a.pptx")
