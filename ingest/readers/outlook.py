"""Reads messages that Outlook saved (MSG)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import olefile

from chunking.errors import UnreadableDocument
from ingest.readers.dates import iso_date
from ingest.readers.html import read_html
from ingest.readers.mail import write_message
from ingest.readers.manuscript import Manuscript, Reading

# Properties by their numbers, as [MS-OXPROPS] lists them.
_SUBJECT, _BODY, _HTML, _HEADERS = "0037", "1000", "1013", "007D"
_SENDER, _SENDER_ADDRESS, _TO, _CC = "0C1A", "0C1F", "0E04", "0E03"
_FILE_NAME, _SHORT_FILE_NAME = "3707", "3704"
_SENT, _DELIVERED = b"\x40\x00\x39\x00", b"\x40\x00\x06\x0e"
"""Tags of the two times, as they stand in the stream of fixed-size properties."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def read_outlook(data: bytes, *, name: str) -> Reading:
    """Return the reading of a message.

    Raises:
        UnreadableDocument: it is no message that Outlook saved, or broken.
    """
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            if not file.exists("__properties_version1.0"):
                raise UnreadableDocument(f"{name}: no message of Outlook", param=name)
            return _reading(file)
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise UnreadableDocument(f"{name}: broken message", param=name) from error


def _reading(file: olefile.OleFileIO) -> Reading:
    date = _date(file)
    sender = f"{_text(file, _SENDER)} <{_text(file, _SENDER_ADDRESS)}>"
    subject = _text(file, _SUBJECT)
    manuscript = Manuscript()
    write_message(
        manuscript,
        level=1,
        subject=subject,
        facts={
            "From": sender.replace("<>", "").strip(),
            "To": _text(file, _TO),
            "Cc": _text(file, _CC),
            "Date": date or "",
        },
        body=_text(file, _BODY) or read_html(_text(file, _HTML)).text,
        attachments=list(_attachments(file)),
    )
    return manuscript.reading(title=subject, date=date)


def _text(file: olefile.OleFileIO, number: str, folder: str = "") -> str:
    """Return a property that is text: in UTF-16, or in the eight bits of the sender's time."""
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252"), ("0102", "utf-8")):
        path = f"{folder}__substg1.0_{number}{kind}"
        if file.exists(path):
            data = file.openstream(path).read()
            text: str = data.decode(encoding, "replace").replace("\r\n", "\n")
            return text.replace("\x00", "").strip()
    return ""


def _attachments(file: olefile.OleFileIO) -> Iterator[str]:
    folders = {path[0] for path in file.listdir() if path[0].startswith("__attach")}
    for folder in sorted(folders):
        name = _text(file, _FILE_NAME, f"{folder}/") or _text(file, _SHORT_FILE_NAME, f"{folder}/")
        yield name or "unnamed"


def _date(file: olefile.OleFileIO) -> str | None:
    """Return when the message was sent, as its headers or its properties say."""
    stated = re.search(r"(?im)^date:\s*(.+)$", _text(file, _HEADERS))
    found = iso_date(stated[1]) if stated else None
    if found:
        return found
    properties = file.openstream("__properties_version1.0").read()
    for tag in (_SENT, _DELIVERED):
        # 16 bytes each: tag, flags, then 100-nanosecond steps since 1601.
        at = next((i for i in range(32, len(properties), 16) if properties[i : i + 4] == tag), None)
        if at is not None:
            steps = int.from_bytes(properties[at + 8 : at + 16], "little")
            return iso_date((_EPOCH + timedelta(microseconds=steps // 10)).isoformat())
    return None
