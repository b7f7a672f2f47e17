"""The dates that files state become ISO 8601, or nothing."""

from __future__ import annotations

import pytest

from ingest.readers.dates import iso_date, pdf_date


@pytest.mark.parametrize(
    ("stated", "date"),
    [
        ("2024-01-31", "2024-01-31"),
        (" 2024-01-31T12:30:00Z ", "2024-01-31T12:30:00+00:00"),
        ("2024-01-31 12:30:00.123456", "2024-01-31T12:30:00"),
        ("2024-01-31T12:30:00+02:00", "2024-01-31T12:30:00+02:00"),
        ("Wed, 31 Jan 2024 12:30:00 +0200", "2024-01-31T12:30:00+02:00"),
        ("Wed, 31 Jan 2024 12:30:00 GMT", "2024-01-31T12:30:00+00:00"),
        ("", None),
        ("yesterday", None),
        ("2024-13-01", None),
        ("31.01.2024", None),
        ("1601-01-01T00:00:00Z", None),
        ("9999-12-31", None),
        ("2024-01-31T", None),
        ("\u0662\u0660\u0662\u0664-\u0660\u0661-\u0663\u0661", None),
    ],
)
def test_a_date_is_read_where_it_is_one(stated: str, date: str | None) -> None:
    assert iso_date(stated) == date


@pytest.mark.parametrize(
    ("stated", "date"),
    [
        ("D:20240131123000+01'00'", "2024-01-31T12:30:00+01:00"),
        ("D:20240131123000-0500", "2024-01-31T12:30:00-05:00"),
        ("D:20240131123000Z", "2024-01-31T12:30:00+00:00"),
        ("D:20240131123000Z00'00'", "2024-01-31T12:30:00+00:00"),
        ("20240131", "2024-01-31"),
        ("D:2024", "2024-01-01"),
        ("2024-01-31", "2024-01-31"),
        ("D:20241331", None),
        ("D:", None),
        ("", None),
    ],
)
def test_a_date_of_a_pdf_is_read_as_far_as_it_goes(stated: str, date: str | None) -> None:
    assert pdf_date(stated) == date
