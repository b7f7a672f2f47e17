"""Word files become headings, paragraphs, lists, tables and notes."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.manuscript import Reading
from ingest.readers.word import read_word
from scripts.prove_ingest.hostile_packages import packed
from tests.written_files import (
    WORD_SPACES,
    docx,
    paragraph,
    pptx,
    properties,
    table,
    word_styles,
)


def read(body: str, **parts: str) -> Reading:
    return read_word(docx(body, parts={f"{n}.xml": c for n, c in parts.items()}), name="a.docx")


def text_of(body: str, **parts: str) -> str:
    return read(body, **parts).text.strip()


def item(text: str, *, level: int = 0, number: int = 1) -> str:
    stated = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return paragraph(text, properties=stated)


def numbering(*forms: tuple[str, str]) -> str:
    levels = "".join(
        f'<w:lvl w:ilvl="{at}"><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for at, (form, text) in enumerate(forms)
    )
    return (
        f'<w:numbering {WORD_SPACES}><w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="1"/></w:lvlOverride></w:num></w:numbering>'
    )


def test_headings_are_those_of_the_outline() -> None:
    body = (
        paragraph("Chad", style="h1")
        + paragraph("intro")
        + paragraph("Climate", style="h2")
        + paragraph("dry")
        + paragraph("loose", properties='<w:outlineLvl w:val="9"/>')
        + paragraph("Area", properties='<w:outlineLvl w:val="0"/>')
    )
    reading = read(body, styles=word_styles(h1=0, h2=1))
    assert reading.text == "# Chad\n\nintro\n\n## Climate\n\ndry\n\nloose\n\n# Area\n\n"
    assert [s.path for s in reading.sections] == [("Chad",), ("Chad", "Climate"), ("Area",)]
    assert reading.title == "Chad"


def test_a_style_called_heading_and_one_that_builds_on_it_are_headings() -> None:
    styles = (
        f'<w:styles {WORD_SPACES}><w:style w:styleId="a"><w:name w:val="heading 2"/></w:style>'
        '<w:style w:styleId="b"><w:name w:val="Mine"/><w:basedOn w:val="a"/></w:style>'
        '<w:style w:styleId="t"><w:name w:val="Title"/></w:style>'
        '<w:style w:styleId="loop"><w:name w:val="Loop"/><w:basedOn w:val="loop"/></w:style>'
        "</w:styles>"
    )
    body = "".join(paragraph(style, style=style) for style in ("t", "a", "b", "loop", "none"))
    assert text_of(body, styles=styles) == "# t\n\n## a\n\n## b\n\nloop\n\nnone"


def test_lists_count_by_themselves_and_start_again_where_they_say() -> None:
    body = (
        item("a") + item("b", level=1) + item("c", level=1) + item("d")
        + item("e", level=1) + item("f", number=2) + paragraph("end")
    )  # fmt: skip
    forms = numbering(("decimal", "%1."), ("lowerLetter", "%1.%2)"))
    assert text_of(body, numbering=forms) == (
        "1. a\n  1.a) b\n  1.b) c\n2. d\n  2.a) e\n1. f\n\nend"
    )


@pytest.mark.parametrize(
    ("form", "labels"),
    [("bullet", "-"), ("upperRoman", "IV."), ("lowerLetter", "d."), ("decimal", "4.")],
)
def test_labels_are_written_in_the_form_of_the_list(form: str, labels: str) -> None:
    body = "".join(item(str(at)) for at in range(4))
    assert text_of(body, numbering=numbering((form, "%1."))).endswith(f"\n{labels} 3")


def test_rows_of_a_table_read_with_their_header() -> None:
    rows = [["City", "Country", "People"], ["Lomé", "Togo", "2 m"]]
    assert text_of(table(rows)) == "City | Country | People\nCity: Lomé; Country: Togo; People: 2 m"
    assert text_of(table([["Area", "7"], ["Name", "Chad"]])) == "Area: 7\nName: Chad"
    assert text_of(table([["a frame around text"]])) == "a frame around text"


def test_merged_cells_are_repeated_down_and_not_across() -> None:
    body = (
        "<w:tbl><w:tr><w:tc><w:tcPr><w:vMerge w:val='restart'/></w:tcPr>" + paragraph("2024")
        + "</w:tc><w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr>" + paragraph("both")
        + "</w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr></w:tc><w:tc>" + paragraph("l")
        + "</w:tc><w:tc>" + paragraph("r") + "</w:tc></w:tr></w:tbl>"
    )  # fmt: skip
    assert text_of(body) == "2024 | both\n2024 | l | r"


def test_what_was_deleted_is_gone_and_what_was_inserted_stands() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        f"<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins>{run.format('new')}"
        f"</w:ins><w:r><w:tab/><w:t>tab</w:t><w:br/><w:t>line</w:t></w:r>"
        f"<w:hyperlink r:id='x'>{run.format(' link')}</w:hyperlink>"
        f"<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    assert text_of(body) == "new tab\nline link"


def test_a_text_box_follows_its_paragraph_once() -> None:
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"
    body = (
        f"<w:p><w:r><w:t>anchor</w:t><AlternateContent><Choice>{box}</Choice>"
        f"<Fallback>{box}</Fallback></AlternateContent></w:r></w:p>"
    )
    assert text_of(body) == "anchor\n\nboxed"


def test_notes_stand_at_the_end_with_their_numbers() -> None:
    body = '<w:p><w:r><w:t>claim</w:t><w:footnoteReference w:id="5"/></w:r></w:p>'
    notes = f'<w:footnotes {WORD_SPACES}><w:footnote w:id="5">{paragraph("proof")}</w:footnote>'
    assert text_of(body, footnotes=f"{notes}</w:footnotes>") == "claim [1]\n\n[1] proof"


def test_equations_and_check_boxes_are_written_out() -> None:
    body = (
        '<w:p><oMath><r><t>x</t></r></oMath><w:sdt><w:sdtPr><checkbox><checked val="1"/>'
        "</checkbox></w:sdtPr><w:sdtContent><w:r><w:t>?</w:t></w:r></w:sdtContent></w:sdt></w:p>"
    )
    assert text_of(body) == "$x$ [x]"


def test_the_file_states_its_title_and_date() -> None:
    core = properties(title="Report", modified="2024-01-31T12:30:00Z", created="2023-01-01")
    reading = read_word(docx(paragraph("x"), core=core), name="a.docx")
    assert (reading.title, reading.date) == ("Report", "2024-01-31T12:30:00+00:00")
    reading = read_word(docx(paragraph("x"), core=properties(created="2023-01-01")), name="a")
    assert (reading.title, reading.date) == ("", "2023-01-01")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "no valid zip"),
        (packed({}), "no document inside, but none"),
        (pptx([]), "no document inside, but presentation"),
        (packed({"word/document.xml": "<document"}), "invalid XML"),
        (packed({"word/document.xml": "<!DOCTYPE document><document/>"}), "a document type"),
    ],
)
def test_what_is_no_word_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableDocument, match=rf"^a\.docx: {message}"):
        read_word(data, name="a.docx")
