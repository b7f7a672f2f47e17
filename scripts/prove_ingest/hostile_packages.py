"""Writes PDF and zip files that break readers: bombs, circles, encryption, paths and entities."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from scripts.prove_ingest.metered import MIB

_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINK: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_LINKS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES: Final = "http://schemas.openxmlformats.org/package/2006/content-types"
_OFFICE: Final = ("docx", "xlsx", "pptx", "odt", "ods", "odp", "epub")


def hostile_packages(secret: str) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of the files; `secret` is a path that none of them may reach."""
    yield from _pdf_files(secret)
    yield from _bombs()
    yield from _word_files(secret)
    yield from _sheets()
    yield from _books(secret)


def packed(members: Mapping[str, str | bytes]) -> bytes:
    """Return a zip file of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def word(body: str, *, target: str = "word/document.xml", head: str = "") -> bytes:
    """Return a Word file of the inner XML of its body."""
    return packed(
        {
            "_rels/.rels": _relationships("officeDocument", target),
            "word/document.xml": (
                f'{head}<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
            ),
        }
    )


def pdf(content: bytes, *, pages: int = 1) -> bytes:
    """Return a PDF file whose pages all have one content stream."""
    stream = zlib.compress(content, 9)
    return (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[%b]/Count %d>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>endobj\n"
        b"4 0 obj<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream endobj\n"
        b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
        b"trailer<</Root 1 0 R>>\n"
    ) % (b"3 0 R " * pages, pages, len(stream), stream)


def _pdf_files(secret: str) -> Iterator[tuple[str, bytes]]:
    show = b"(hello) Tj 0 -1 Td "
    yield "spaces-bomb.pdf", pdf(b" " * 512 * MIB)
    yield "text-bomb.pdf", pdf(b"BT /F1 12 Tf 72 700 Td " + show * 3_000_000 + b"ET")
    yield "pages.pdf", pdf(b"BT /F1 12 Tf 72 700 Td (page) Tj ET", pages=100_000)
    yield (
        "circle.pdf",
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R]/Count 99999999>>endobj\ntrailer<</Root 1 0 R>>\n",
    )
    yield "nested.pdf", b"%PDF-1.4\n1 0 obj " + b"[" * 1_000_000 + b" endobj trailer<</Root 1 0 R>>"
    yield (
        "encrypted.pdf",
        pdf(b"BT ET").replace(
            b"trailer<<",
            b"trailer<</ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%b>/U<%b>>>"
            % (b"41" * 32, b"42" * 32),
        ),
    )
    yield (
        "opens.pdf",
        pdf(b"BT /F1 12 Tf 72 700 Td (opens) Tj ET").replace(
            b"/Pages 2 0 R",
            b"/Pages 2 0 R/OpenAction<</S/Launch/F(%b)>>" % secret.encode(),
        ),
    )


def _bombs() -> Iterator[tuple[str, bytes]]:
    zeros = b"\0" * 300 * MIB
    bomb = packed({"[Content_Types].xml": "<Types/>", "word/document.xml": zeros})
    yield from ((f"bomb.{suffix}", bomb) for suffix in _OFFICE)
    yield from ((f"lying-bomb.{suffix}", _lying(bomb)) for suffix in ("docx", "xlsx", "epub"))
    nested = packed({"a.txt": b"x" * 1000})
    for _ in range(5):
        nested = packed({"word/document.xml": nested})
    yield "nested.docx", nested
    yield "members.docx", packed({f"word/{at}.xml": "" for at in range(25_000)})


def _lying(bomb: bytes) -> bytes:
    """Return the zip file with every member declared to unpack to a hundred bytes."""
    data = bytearray(bomb)
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset : place + offset + 4] = struct.pack("<I", 100)
            place = data.find(signature, place + 4)
    return bytes(data)


def _word_files(secret: str) -> Iterator[tuple[str, bytes]]:
    run = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "lol">{laughs}]>'
    yield "laughs.docx", word(run.format("&a9;"), head=head)
    yield "late-laughs.docx", word(run.format("&a9;"), head=head.replace("?>", "?>" + " " * 5000))
    for scheme in ("file://", ""):
        head = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "{scheme}{secret}">]>'
        yield f"entity{len(scheme)}.docx", word(run.format("&x;"), head=head)
    for number, target in enumerate((secret, f"../../../../..{secret}", f"file://{secret}")):
        yield f"target{number}.docx", word(run.format("target"), target=target)
    yield (
        "paths.docx",
        packed(
            {
                "../../../../outside/evil.txt": "evil",
                secret: "evil",
                "_rels/.rels": _relationships("officeDocument", "word/document.xml"),
                "word/document.xml": f'<w:document xmlns:w="{_WORD}"/>',
            }
        ),
    )
    locked = bytearray(word(run.format("locked")))
    place = locked.find(b"PK\x01\x02")
    while place >= 0:
        locked[place + 8] |= 1
        place = locked.find(b"PK\x01\x02", place + 4)
    yield "encrypted.docx", bytes(locked)
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    yield "encrypted.xlsx", office + "EncryptedPackage".encode("utf-16-le") + b"\0" * 600
    deep = "<w:sdt><w:sdtContent>" * 10_000 + run.format("x") + "</w:sdtContent></w:sdt>" * 10_000
    yield "deep.docx", word(deep)
    yield (
        "tables.docx",
        word("<w:tbl><w:tr><w:tc>" * 300 + run.format("x") + "</w:tc></w:tr></w:tbl>" * 300),
    )
    yield "paragraphs.docx", word(run.format("word") * 150_000)


def _sheets() -> Iterator[tuple[str, bytes]]:
    rows = '<row r="1"><c r="A1"><v>1</v></c></row><row r="{0}"><c r="{1}{0}"><v>2</v></c></row>'
    yield "far.xlsx", _workbook(rows.format(1_048_576, "XFD"))
    yield "far-row.xlsx", _workbook(rows.format(1_048_576, "B"))
    merged = '<mergeCell ref="A1:SZ5000"/>' * 2000
    yield "merged.xlsx", _workbook(rows.format(5000, "SZ"), f"<mergeCells>{merged}</mergeCells>")
    many = (f'<row r="{n}"><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 300_000))
    yield "rows.xlsx", _workbook("".join(many))


def _workbook(rows: str, rest: str = "") -> bytes:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = (("workbook.xml", "sheet.main"), ("worksheets/sheet1.xml", "worksheet"))
    types = "".join(
        f'<Override PartName="/xl/{part}" ContentType="{kind}.{what}+xml"/>' for part, what in parts
    )
    sheets = '<sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
    return packed(
        {
            "[Content_Types].xml": (
                f'<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/>'
                f"{types}</Types>"
            ),
            "_rels/.rels": _relationships("officeDocument", "xl/workbook.xml"),
            "xl/workbook.xml": (
                f'<workbook xmlns="{_SHEET}" xmlns:r="{_LINK}">{sheets}</workbook>'
            ),
            "xl/_rels/workbook.xml.rels": _relationships("worksheet", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml": (
                f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}</sheetData>{rest}</worksheet>'
            ),
        }
    )


def _books(secret: str) -> Iterator[tuple[str, bytes]]:
    container = '<container><rootfiles><rootfile full-path="{}"/></rootfiles></container>'
    for number, path in enumerate((secret, f"../../../..{secret}")):
        container_path = container.format(path)
        yield f"book{number}.epub", packed({"META-INF/container.xml": container_path})
    yield (
        "pages.epub",
        packed(
            {
                "META-INF/container.xml": container.format("book.opf"),
                "book.opf": (
                    f'<package><manifest><item id="a" href="{secret}"/>'
                    f'<item id="b" href="../../..{secret}"/></manifest>'
                    '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
                ),
            }
        ),
    )


def _relationships(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_LINKS}">'
        f'<Relationship Id="r1" Type="{_LINK}/{kind}" Target="{target}"/></Relationships>'
    )
