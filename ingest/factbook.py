"""Reads the CIA World Factbook: one JSON file an entity, cleaned into one document each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from chunking.document import Document
from chunking.errors import ConfigurationError, UnreadableDocument
from chunking.sections import field_sections
from ingest.records import record_fields
from ingest.texts import SourceFile, read_bytes, read_json

PARSER = "factbook/1"
"""Changes with what an entity becomes: stored documents are then read again."""

# Entities whose files name no country: the Factbook's own titles, by file name.
_TITLES = {
    "ee": "European Union",
    "xx": "World",
    "oo": "Southern Ocean",
    "xo": "Indian Ocean",
    "xq": "Arctic Ocean",
    "zh": "Atlantic Ocean",
    "zn": "Pacific Ocean",
}
_NO_NAME = {"", "none", "NA"}
_NAME_KEYS = (
    "conventional short form",
    "conventional long form",
    "abbreviation",
    "local short form",
    "former",
)
_BREAKING_TAGS = {"br", "p", "li", "div", "tr"}


class _Text(HTMLParser):
    """Collects the text of an HTML fragment; block tags end a line."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _BREAKING_TAGS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def html_lines(fragment: str) -> tuple[str, ...]:
    """Return the non-empty lines of an HTML fragment, tags and entities resolved."""
    if "<" in fragment or "&" in fragment:
        parser = _Text()
        parser.feed(fragment)
        parser.close()
        fragment = "".join(parser.parts)
    lines = fragment.split("\n")
    collapsed = (re.sub(r"\s+", " ", line).strip() for line in lines)
    return tuple(line for line in collapsed if line)


def factbook_files(folder: Path) -> tuple[SourceFile, ...]:
    """Return the entity files `REGION/CODE.json` under a folder, in path order.

    Raises:
        ConfigurationError: the folder holds no entity files.
    """
    paths = sorted(
        path for path in folder.absolute().glob("*/*.json") if path.parent.name != "meta"
    )
    if not paths:
        raise ConfigurationError(
            f"no Factbook files (REGION/CODE.json) under {folder}",
            hint="`python scripts/fetch_data.py` fetches the Factbook; WINDOWFIT_FACTBOOK names it",
        )
    names = (f"factbook/{path.relative_to(folder.absolute()).as_posix()}" for path in paths)
    return tuple(
        SourceFile(
            name,
            load=partial(read_bytes, path, name=name),
            parse=partial(entity_document, code=path.stem, name=name),
            parser=PARSER,
        )
        for name, path in zip(names, paths, strict=True)
    )


def entity_document(data: bytes, *, code: str, name: str) -> Document:
    """Return the document of the bytes of one entity file `CODE.json`.

    Raises:
        UnreadableDocument: the file is no JSON object of sections of fields.
    """
    entity = read_json(data, name=name)
    if not isinstance(entity, dict) or not entity:
        raise UnreadableDocument(f"{name}: not a JSON object with sections", param=name)
    text, sections = field_sections(record_fields(entity, clean=html_lines))
    if not text.strip():
        raise UnreadableDocument(f"{name}: no text in any field", param=name)
    title, *aliases = [*_names(entity, code), _TITLES.get(code, code)]
    return Document(
        id=name,
        text=text,
        title=title,
        source=name,
        media_type="application/json",
        sections=sections,
        aliases=tuple(dict.fromkeys(alias for alias in aliases if alias not in (code, title))),
    )


def _names(entity: Mapping[str, Any], code: str) -> list[str]:
    if code in _TITLES:
        return [_TITLES[code]]
    government = entity.get("Government")
    names = government.get("Country name") if isinstance(government, dict) else None
    found: list[str] = []
    for key in _NAME_KEYS:
        value = names.get(key) if isinstance(names, dict) else None
        text = value.get("text") if isinstance(value, dict) else None
        for line in html_lines(text) if isinstance(text, str) else ():
            for part in re.split(r"[;,/]" if key == "former" else r"[;/]", line):
                # "Svalbard (sometimes referred to as ...)": a remark is no part of the name.
                name = re.sub(r"\s*\([^)]{30,}\)", "", part).strip()
                if name not in _NO_NAME:
                    found.append(name)
    return list(dict.fromkeys(found))
