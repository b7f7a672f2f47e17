"""Names the formats that can be read: by suffix, held against what the bytes themselves say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from chunking.errors import UnreadableDocument
from chunking.programs import SOURCE_CODE


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of files.

    Attributes:
        name: what people call it.
        media_type: as registered with IANA, or ours where none is.
        suffixes: of file names, in lower case.
        revision: changes with what our reader makes of the same bytes.
        reader: "module:function" that a child process calls; empty where none is needed.
        library: the package that the reader needs, if any.
        signatures: how the bytes begin, where they must begin so.
    """

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    revision: int = 2
    reader: str = ""
    library: str = ""
    signatures: tuple[bytes, ...] = ()

    @property
    def parser(self) -> str:
        """Name and version of what parses: the reader's own, and that of its library."""
        name = f"{self.name}/{self.revision}"
        return f"{name}+{_installed(self.library)}" if self.library else name


@cache
def _installed(library: str) -> str:
    """Return the name and version of a package; "none" where it is missing."""
    try:
        return f"{library}-{version(library)}"
    except PackageNotFoundError:
        return "none"


_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF = b"%PDF-"
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_READERS = "ingest.readers"

_KNOWN_CONTENT = (
    (_PDF, "PDF"),
    (_ZIP, "zip"),
    (b"PK\x05\x06", "empty zip"),
    (_OLE, "Office 97"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"\x1f\x8b", "gzip"),
    (b"\x7fELF", "program"),
    (b"SQLite format 3", "SQLite"),
    (b"{\\rtf", "RTF"),
)
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
"""The stream in which Office keeps a file that has a password."""
_PDF_WITHIN = 1024
"""Bytes within which readers of PDF look for its signature."""

TEXT = Format(
    "text",
    "text/plain",
    (".txt", ".text", ".rst", ".adoc", ".asciidoc", ".vtt", ".srt"),
    revision=3,
)
MARKDOWN = Format(
    "markdown",
    "text/markdown",
    (".md", ".markdown"),
    revision=4,
    reader=f"{_READERS}.plain:read_markdown",
)
CODE = Format(
    "code",
    SOURCE_CODE,
    tuple(
        ".py .pyi .js .mjs .cjs .jsx .ts .tsx .java .kt .scala .go .rs .c .h .cc .cpp .hpp .cs "
        ".swift .rb .php .pl .lua .r .jl .sh .bash .zsh .ps1 .sql .proto .tf .ex .exs .hs .ml "
        ".clj .vue .svelte".split()
    ),
    # In a child process, as all parsers are: Python's own is for programs that one trusts.
    reader=f"{_READERS}.plain:read_code",
)
JSON = Format("json", "application/json", (".json",), reader=f"{_READERS}.plain:read_json_file")
JSON_LINES = Format("jsonl", "application/jsonl", (".jsonl", ".ndjson"), revision=4)
CSV = Format("csv", "text/csv", (".csv", ".tsv", ".tab"), reader=f"{_READERS}.plain:read_csv")
HTML = Format(
    "html",
    "text/html",
    (".html", ".htm", ".xhtml"),
    reader=f"{_READERS}.html:read_page",
    library="selectolax",
)
FORMATS = (
    TEXT,
    MARKDOWN,
    CODE,
    JSON,
    JSON_LINES,
    CSV,
    HTML,
    Format(
        "pdf",
        "application/pdf",
        (".pdf",),
        reader=f"{_READERS}.pdf:read_pdf",
        library="pypdfium2",
        signatures=(_PDF,),
    ),
    Format(
        "docx",
        f"{_OPEN_XML}.wordprocessingml.document",
        (".docx", ".docm"),
        reader=f"{_READERS}.word:read_word",
        signatures=(_ZIP,),
    ),
    Format(
        "pptx",
        f"{_OPEN_XML}.presentationml.presentation",
        (".pptx", ".pptm", ".ppsx"),
        reader=f"{_READERS}.slides:read_slides",
        signatures=(_ZIP,),
    ),
    Format(
        "xlsx",
        f"{_OPEN_XML}.spreadsheetml.sheet",
        (".xlsx", ".xlsm", ".xlsb"),
        reader=f"{_READERS}.sheets:read_xlsx",
        library="python-calamine",
        signatures=(_ZIP,),
    ),
    Format(
        "xls",
        "application/vnd.ms-excel",
        (".xls",),
        reader=f"{_READERS}.sheets:read_xls",
        library="python-calamine",
        signatures=(_OLE,),
    ),
    Format(
        "ods",
        "application/vnd.oasis.opendocument.spreadsheet",
        (".ods",),
        reader=f"{_READERS}.sheets:read_ods",
        library="python-calamine",
        signatures=(_ZIP,),
    ),
    Format(
        "odt",
        "application/vnd.oasis.opendocument.text",
        (".odt",),
        reader=f"{_READERS}.opendocument:read_opendocument",
        signatures=(_ZIP,),
    ),
    Format(
        "odp",
        "application/vnd.oasis.opendocument.presentation",
        (".odp",),
        reader=f"{_READERS}.opendocument:read_opendocument",
        signatures=(_ZIP,),
    ),
    Format(
        "epub",
        "application/epub+zip",
        (".epub",),
        reader=f"{_READERS}.epub:read_epub",
        library="selectolax",
        signatures=(_ZIP,),
    ),
    Format(
        "eml",
        "message/rfc822",
        (".eml",),
        reader=f"{_READERS}.mail:read_mail",
        library="selectolax",
    ),
    Format(
        "msg",
        "application/vnd.ms-outlook",
        (".msg",),
        reader=f"{_READERS}.outlook:read_outlook",
        library="olefile",
        signatures=(_OLE,),
    ),
)

_BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}
_SUPERSEDED = {".doc": ".docx", ".ppt": ".pptx", ".dot": ".docx", ".pps": ".pptx"}


def format_of(suffix: str, *, name: str) -> Format:
    """Return the format that a file's suffix claims.

    Raises:
        UnreadableDocument: no format has the suffix.
    """
    form = _BY_SUFFIX.get(suffix.lower())
    if form is not None:
        return form
    better = _SUPERSEDED.get(suffix.lower())
    raise UnreadableDocument(
        f"{name}: type {suffix or '(no suffix)'} is not supported",
        hint=f"save it as {better}" if better else f"supported: {', '.join(supported_suffixes())}",
        param=name,
    )


def supported_suffixes() -> Iterable[str]:
    """Return the suffixes that can be read, in the order of the formats."""
    return _BY_SUFFIX.keys()


def check_content(data: bytes, form: Format, *, name: str) -> None:
    """Refuse bytes that are not what their suffix says.

    Raises:
        UnreadableDocument: the file is empty, encrypted, or of another kind.
    """
    if not data:
        raise UnreadableDocument(f"{name}: empty", hint="remove the file", param=name)
    content = _content_of(data)
    if not form.signatures:
        if content:
            raise _lying(name, f"{form.name} by its suffix, {content} by its content")
        return
    begins = data[:_PDF_WITHIN] if _PDF in form.signatures else data
    if any(begins.startswith(s) for s in form.signatures) or (
        _PDF in form.signatures and _PDF in begins
    ):
        return
    if content == "Office 97" and _ENCRYPTED in data:
        hint = "store it without a password"
        raise UnreadableDocument(f"{name}: encrypted", hint=hint, param=name)
    raise _lying(name, f"{form.name} by its suffix, {content or 'something else'} by its content")


def _content_of(data: bytes) -> str:
    """Return what the bytes say they are; empty for text and anything unknown."""
    return next((kind for signature, kind in _KNOWN_CONTENT if data.startswith(signature)), "")


def _lying(name: str, reason: str) -> UnreadableDocument:
    hint = "give the file the suffix of its content"
    return UnreadableDocument(f"{name}: {reason}", hint=hint, param=name)
