"""Reads the dates that files state about themselves."""

from __future__ import annotations

import re
from datetime import date, datetime
from email.utils import parsedate_to_datetime

_PDF = re.compile(
    r"(?:D:)?(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:([-+])(\d{2})'?(\d{2})?'?|Z.*)?"
)
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
"""Files came later; an earlier year is a clock that was never set, or a spreadsheet's zero."""


def iso_date(text: str) -> str | None:
    """Return a date as ISO 8601 where the text is one: of ISO 8601 itself, HTTP or an e-mail."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return _plausible(date.fromisoformat(text))
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text, re.ASCII):
            return _plausible(datetime.fromisoformat(text))
        return _plausible(parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError):
        return None


def pdf_date(text: str) -> str | None:
    """Return a date of a PDF ("D:20240131120000+01'00'") as ISO 8601; None where it is none."""
    match = _PDF.fullmatch(text.strip())
    if match is None:
        return iso_date(text)
    *numbers, sign, hours, minutes = match.groups()
    year, month, day, *time = numbers
    stated = f"{year}-{month or '01'}-{day or '01'}"
    if time[0] is not None:
        stated += f"T{time[0]}:{time[1] or '00'}:{time[2] or '00'}"
        if sign:
            stated += f"{sign}{hours}:{minutes or '00'}"
        elif "Z" in text:
            stated += "+00:00"
    return iso_date(stated)


def _plausible(value: date | datetime) -> str | None:
    """Return the date, or None for a year in which no file was written."""
    if not _FIRST_YEAR < value.year < _LAST_YEAR:
        return None
    if isinstance(value, datetime):
        return value.replace(microsecond=0).isoformat()
    return value.isoformat()
