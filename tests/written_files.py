"""Builds small files of the formats that are read: Office files, spreadsheets, books and PDF."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from scripts.prove_ingest.hostile_packages import packed

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_CORE = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
WORD_SPACES = f'xmlns:w="{_WORD}" xmlns:r="{_LINK}"'
SLIDE_SPACES = f'xmlns:p="{_SLIDE}" xmlns:a="{_DRAWING}" xmlns:r="{_LINK}"'


def links(*targets: tuple[str, str, str]) -> str:
    """Return a part of relationships: id, kind and target of each."""
    inner = "".join(
        f'<Relationship Id="{name}" Type="{_LINK}/{kind}" Target="{target}"/>'
        for name, kind, target in targets
    )
    return f'<Relationships xmlns="{_LINKS}">{inner}</Relationships>'


def properties(*, title: str = "", modified: str = "", created: str = "") -> str:
    """Return the part of an Office file's core properties."""
    return (
        f'<cp:coreProperties xmlns:cp="{_CORE}" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:dcterms="http://purl.org/dc/terms/"><dc:title>{title}</dc:title>'
        f"<dcterms:created>{created}</dcterms:created>"
        f"<dcterms:modified>{modified}</dcterms:modified></cp:coreProperties>"
    )


def docx(body: str, *, parts: Mapping[str, str] | None = None, core: str = "") -> bytes:
    """Return a Word file of the inner XML of its body; `parts` are files of the folder `word`."""
    members = {
        "_rels/.rels": links(
            ("r1", "officeDocument", "word/document.xml"),
            ("r2", "core-properties", "docProps/core.xml"),
        ),
        "word/document.xml": f"<w:document {WORD_SPACES}><w:body>{body}</w:body></w:document>",
    }
    if core:
        members["docProps/core.xml"] = core
    kinds = [(f"p{at}", name.partition(".")[0], name) for at, name in enumerate(parts or {})]
    members["word/_rels/document.xml.rels"] = links(*kinds)
    members |= {f"word/{name}": content for name, content in (parts or {}).items()}
    return packed(members)


def paragraph(text: str, *, style: str = "", properties: str = "") -> str:
    """Return a paragraph of a Word file."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return (
        f"<w:p><w:pPr>{named}{properties}</w:pPr>"
        f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of a Word file."""
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def word_styles(**levels: int) -> str:
    """Return the part of a Word file's styles, each with its outline level, from 0."""
    inner = "".join(
        f'<w:style w:styleId="{name}"><w:name w:val="{name}"/>'
        f'<w:pPr><w:outlineLvl w:val="{level}"/></w:pPr></w:style>'
        for name, level in levels.items()
    )
    return f"<w:styles {WORD_SPACES}>{inner}</w:styles>"


def pptx(slides: Sequence[str], *, core: str = "") -> bytes:
    """Return a presentation of the inner XML of its slides' shape trees."""
    names = [f"slide{number}.xml" for number in range(1, len(slides) + 1)]
    listed = "".join(f'<p:sldId id="{256 + at}" r:id="s{at}"/>' for at in range(len(slides)))
    members = {
        "_rels/.rels": links(
            ("r1", "officeDocument", "ppt/presentation.xml"),
            ("r2", "core-properties", "docProps/core.xml"),
        ),
        "ppt/presentation.xml": (
            f"<p:presentation {SLIDE_SPACES}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>"
        ),
        "ppt/_rels/presentation.xml.rels": links(
            *((f"s{at}", "slide", f"slides/{name}") for at, name in enumerate(names))
        ),
    }
    if core:
        members["docProps/core.xml"] = core
    for name, tree in zip(names, slides, strict=True):
        members[f"ppt/slides/{name}"] = (
            f"<p:sld {SLIDE_SPACES}><p:cSld><p:spTree>{tree}</p:spTree></p:cSld></p:sld>"
        )
    return packed(members)


def shape(*paragraphs: str, kind: str = "", top: int = 0) -> str:
    """Return a shape of a slide with its text; `kind` is that of a placeholder."""
    holder = f'<p:ph type="{kind}"/>' if kind else ""
    inner = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in paragraphs)
    return (
        f"<p:sp><p:nvSpPr><p:nvPr>{holder}</p:nvPr></p:nvSpPr>"
        f'<p:spPr><a:xfrm><a:off x="0" y="{top}"/></a:xfrm></p:spPr>'
        f"<p:txBody>{inner}</p:txBody></p:sp>"
    )


def xlsx(sheets: Mapping[str, str], *, core: str = "") -> bytes:
    """Return a workbook of the inner XML of its sheets, by their names."""
    numbered = list(enumerate(sheets, start=1))
    listed = "".join(f'<sheet name="{n}" sheetId="{at}" r:id="s{at}"/>' for at, n in numbered)
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="application/vnd.openxml'
        'formats-officedocument.spreadsheetml.worksheet+xml"/>'
        for at, _ in numbered
    )
    members = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
            f'officedocument.spreadsheetml.sheet.main+xml"/>{types}</Types>'
        ),
        "_rels/.rels": links(
            ("r1", "officeDocument", "xl/workbook.xml"),
            ("r2", "core-properties", "docProps/core.xml"),
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_SHEET}" xmlns:r="{_LINK}"><sheets>{listed}</sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": links(
            *((f"s{at}", "worksheet", f"worksheets/sheet{at}.xml") for at, _ in numbered)
        ),
    }
    if core:
        members["docProps/core.xml"] = core
    for at, name in numbered:
        members[f"xl/worksheets/sheet{at}.xml"] = (
            f'<worksheet xmlns="{_SHEET}">{sheets[name]}</worksheet>'
        )
    return packed(members)


def sheet_rows(rows: Sequence[Sequence[str | float | None]]) -> str:
    """Return the data of a sheet: texts, numbers and blank cells."""
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = (_cell(f"{chr(65 + at)}{number}", value) for at, value in enumerate(row))
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    return f"<sheetData>{''.join(lines)}</sheetData>"


def _cell(place: str, value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def pdf(pages: Sequence[bytes], *, info: str = "") -> bytes:
    """Return a PDF file of the content streams of its pages; Helvetica is F1, bold F2."""
    count = len(pages)
    kids = " ".join(f"{10 + 2 * at} 0 R" for at in range(count))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: f"<</Type/Pages/Kids[{kids}]/Count {count}>>".encode(),
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        4: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>",
        5: f"<<{info}>>".encode(),
    }
    for at, content in enumerate(pages):
        packed = zlib.compress(content, 9)
        objects[10 + 2 * at] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R/F2 4 0 R>>>>>>" % (11 + 2 * at)
        )
        objects[11 + 2 * at] = (
            b"<</Length %d/Filter/FlateDecode>>stream\n" % len(packed) + packed + b"\nendstream"
        )
    file = b"%PDF-1.4\n"
    places: dict[int, int] = {}
    for number, content in objects.items():
        places[number] = len(file)
        file += b"%d 0 obj" % number + content + b"endobj\n"
    start = len(file)
    file += b"xref\n"
    for number, place in places.items():
        file += b"%d 1\n%010d 00000 n \n" % (number, place)
    size = max(objects) + 1
    file += b"trailer<</Root 1 0 R/Info 5 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (size, start)
    return file


def printed(*lines: tuple[str, int, str], top: int = 720, leading: float = 1.2) -> bytes:
    """Return a content stream of lines: font, size and text of each; "" leaves a line blank."""
    parts = [b"BT", b"72 %d Td" % top]
    for font, size, text in lines:
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        parts.append(f"0 {-size * leading:.1f} Td /{font} {size} Tf ({escaped}) Tj".encode())
    return b"\n".join([*parts, b"ET"])


def odt(body: str, *, kind: str = "text", meta: str = "") -> bytes:
    """Return an OpenDocument file of the inner XML of its body."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "draw", "presentation", "meta")
    )
    return packed(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": (
                f"<office:document-content {spaces}><office:body><office:{kind}>{body}"
                f"</office:{kind}></office:body></office:document-content>"
            ),
            "meta.xml": (
                f'<office:document-meta {spaces} xmlns:dc="http://purl.org/dc/elements/1.1/">'
                f"<office:meta>{meta}</office:meta></office:document-meta>"
            ),
        }
    )


def epub(pages: Mapping[str, str], *, spine: Sequence[str], metadata: str = "") -> bytes:
    """Return a book of pages by their names, read in the order of the spine."""
    items = "".join(f'<item id="{name}" href="{name}.xhtml"/>' for name in pages)
    order = "".join(f'<itemref idref="{name}"/>' for name in spine)
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": (
                '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
            ),
            "OPS/book.opf": (
                '<package xmlns:dc="http://purl.org/dc/elements/1.1/">'
                f"<metadata>{metadata}</metadata><manifest>{items}</manifest>"
                f"<spine>{order}</spine></package>"
            ),
            **{f"OPS/{name}.xhtml": page for name, page in pages.items()},
        }
    )
