"""Messages become who wrote to whom, the text, and the names of what is attached."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.mail import read_mail
from ingest.readers.outlook import read_outlook


def message(**headers: str) -> EmailMessage:
    made = EmailMessage()
    defaults = {"From": "Ana <a@x.org>", "To": "b@x.org", "Subject": "Ducks"}
    for name, value in {**defaults, **headers}.items():
        made[name] = value
    return made


def test_a_message_reads_under_its_subject() -> None:
    made = message(Date="Wed, 31 Jan 2024 12:30:00 +0200", Cc="c@x.org")
    made.set_content("Hello,\n\nthere are ducks.\n")
    reading = read_mail(bytes(made), name="a.eml")
    assert reading.text == (
        "# Ducks\n\nFrom: Ana <a@x.org>\nTo: b@x.org\nCc: c@x.org\n"
        "Date: Wed, 31 Jan 2024 12:30:00 +0200\n\nHello,\n\nthere are ducks.\n\n"
    )
    assert (reading.title, reading.date) == ("Ducks", "2024-01-31T12:30:00+02:00")


def test_the_plain_form_is_preferred_and_html_is_read_where_it_stands_alone() -> None:
    made = message()
    made.set_content("plain")
    made.add_alternative("<p>html</p>", subtype="html")
    assert "html" not in read_mail(bytes(made), name="a").text
    made = message()
    made.set_content("<h1>Big</h1><p>html</p>", subtype="html")
    assert read_mail(bytes(made), name="a").text.endswith("# Big\n\nhtml\n\n")


def test_what_is_attached_is_named_and_messages_inside_are_read() -> None:
    made = message()
    made.set_content("see attachment")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="ducks.pdf")
    inner = message(Subject="Geese")
    inner.set_content("about geese")
    made.add_attachment(inner)
    text = read_mail(bytes(made), name="a.eml").text
    assert "Attachment (not read): ducks.pdf (application/pdf)" in text
    assert "## Geese" in text
    assert "about geese" in text


def test_headers_in_other_alphabets_and_charsets_are_read() -> None:
    data = (
        b"From: =?utf-8?b?Sm9zw6k=?= <j@x.org>\nTo: b\nSubject: =?iso-8859-1?q?caf=E9?=\n"
        b"Content-Type: text/plain; charset=iso-8859-1\n\nna\xefve\n"
    )
    reading = read_mail(data, name="a.eml")
    assert reading.title == "café"
    assert "José" in reading.text
    assert "naïve" in reading.text


@pytest.mark.parametrize(
    "data",
    [
        b"From: =?utf-8?b?" + b"A" * 999 + b"?=\nTo: a\nDate: never\n\nbody",
        b"From: a\nTo: b\nContent-Type: text/plain; charset=nonsense\n\nbody",
        b"From: a\nTo: b\nContent-Type: multipart/mixed\n\nbody",
        b"From: a\nTo: b\nContent-Transfer-Encoding: base64\n\nbody!",
        b"From: a\nTo: b\nSubject: " + b"(" * 500 + b"\n\nbody",
        b"From: a\nTo: b\nContent-Type: message/rfc822\n\nTo: c\n\nbody",
    ],
)
def test_a_broken_message_is_read_as_far_as_it_goes(data: bytes) -> None:
    assert read_mail(data, name="a.eml").text


@pytest.mark.parametrize("data", [b"", b"just text", b"From: only\n\nx", b"\x00" * 99])
def test_what_has_no_headers_is_no_message(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.eml: no headers of a message"):
        read_mail(data, name="a.eml")


@pytest.mark.parametrize("data", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 2000])
def test_what_outlook_did_not_save_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.msg: (?:broken|no) message"):
        read_outlook(data, name="a.msg")
