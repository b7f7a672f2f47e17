"""Reads e-mail (EML): who wrote to whom and when, the text, and the names of what is attached."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import Message

from chunking.errors import UnreadableDocument
from ingest.readers.dates import iso_date
from ingest.readers.html import read_html
from ingest.readers.manuscript import Manuscript, Reading

_FACTS = ("From", "To", "Cc", "Date")
_LEAST_HEADERS = 2
_DEPTH_LIMIT = 5
"""Messages inside of messages that are read."""


def read_mail(data: bytes, *, name: str) -> Reading:
    """Return the reading of a message.

    Raises:
        UnreadableDocument: it has no headers of a message, or no text.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    known = [key for key in (*_FACTS, "Subject", "Message-ID", "Received") if key in message]
    if len(known) < _LEAST_HEADERS:
        raise UnreadableDocument(f"{name}: no headers of a message", param=name)
    manuscript = Manuscript()
    _write(manuscript, message, 1)
    return manuscript.reading(title=_header(message, "Subject"), date=_date(message))


def write_message(
    manuscript: Manuscript,
    *,
    level: int,
    subject: str,
    facts: dict[str, str],
    body: str,
    attachments: list[str],
) -> None:
    """Write a message under its subject; what is attached is named, for it was not read."""
    manuscript.heading(level, subject or "Message")
    manuscript.lines(f"{name}: {value}" for name, value in facts.items() if value)
    for block in body.split("\n\n"):
        manuscript.lines(block.split("\n"))
    manuscript.lines(f"Attachment (not read): {name}" for name in attachments)


def _write(manuscript: Manuscript, message: Message, level: int) -> None:
    parts = list(_parts(message))
    inner = [part for part in parts if part.get_content_type() == "message/rfc822"]
    write_message(
        manuscript,
        level=level,
        subject=_header(message, "Subject"),
        facts={name: _header(message, name) for name in _FACTS},
        body=_body([part for part in parts if not _attached(part)]),
        attachments=[_header_file(part) for part in parts if _attached(part) and part not in inner],
    )
    for part in inner if level < _DEPTH_LIMIT else []:
        for message_inside in part.get_payload():
            if isinstance(message_inside, Message):
                _write(manuscript, message_inside, level + 1)


def _parts(message: Message) -> Iterator[Message]:
    """Yield the parts of a message, without those of the messages inside."""
    stack = [message]
    while stack:
        part = stack.pop()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            stack.extend(inner for inner in reversed(payload) if isinstance(inner, Message))
        else:
            yield part


def _attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text"


def _body(parts: list[Message]) -> str:
    """Return the text of a message: the plain form where there is one, else that of the HTML."""
    plain = [_text(part) for part in parts if part.get_content_type() == "text/plain"]
    if any(text.strip() for text in plain):
        return "\n\n".join(plain)
    pages = (_text(part) for part in parts if part.get_content_type() == "text/html")
    return "\n\n".join(read_html(page).text for page in pages)


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset("utf-8")
    for encoding in (charset, "utf-8"):
        try:
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return data.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")


def _header(message: Message, name: str) -> str:
    """Return a header on one line; one that cannot be parsed counts as missing."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, TypeError, AttributeError, IndexError, LookupError):
        # The parser of the standard library raises any of these on hostile headers.
        return ""


def _header_file(part: Message) -> str:
    try:
        name = part.get_filename()
    except (ValueError, TypeError, AttributeError, IndexError, LookupError):
        name = None
    return f"{name or 'unnamed'} ({part.get_content_type()})"


def _date(message: Message) -> str | None:
    return iso_date(_header(message, "Date"))
