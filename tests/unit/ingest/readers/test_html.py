"""Pages become text with headings, lists and tables; what operates them is left out."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.html import read_html, read_page


def text_of(body: str) -> str:
    return read_html(f"<html><body>{body}</body></html>").text.strip()


def test_headings_paragraphs_and_breaks_become_lines() -> None:
    page = "<h1>Chad</h1>intro <b>bold</b><p>one<br>two</p><h3>Climate</h3><div>dry</div>"
    reading = read_html(page)
    assert reading.text == "# Chad\n\nintro bold\n\none\ntwo\n\n### Climate\n\ndry\n\n"
    assert [section.path for section in reading.sections] == [("Chad",), ("Chad", "Climate")]


def test_white_space_is_that_of_a_browser() -> None:
    assert text_of("<p> a\n   b&nbsp;c <i> d</i></p>") == "a b c d"
    assert text_of("<p>H<sub>2</sub>O</p>") == "H2O"


def test_lists_keep_their_levels_and_numbers() -> None:
    listed = "<ul><li>a<ul><li>b</li></ul></li><li><p>c</p><p>d</p></li></ul>"
    assert text_of(listed) == "- a\n  - b\n- c\n  d"
    assert text_of('<ol start="3"><li>x<li>y</ol><p>end') == "3. x\n4. y\n\nend"
    assert text_of('<ol start="x"><li>x</ol>') == "1. x"


def test_code_keeps_its_lines() -> None:
    assert text_of("<pre>\n# no heading\n  x = 1\n</pre>") == "```\n# no heading\n  x = 1\n```"
    assert read_html("<pre># no heading</pre>").sections == ()


def test_rows_read_with_their_header() -> None:
    head = "<thead><tr><th>Year</th><th colspan=2>Ducks</th></tr></thead>"
    rows = "<tr><td rowspan=2>2024</td><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr>"
    assert text_of(f"<table><caption>Count</caption>{head}{rows}</table>") == (
        "Count\nYear | Ducks | Ducks\nYear: 2024; Ducks: 1; Ducks: 2\n"
        "Year: 2024; Ducks: 3; Ducks: 4"
    )


def test_a_table_that_lays_out_a_page_is_read_as_a_page() -> None:
    inner = "<table><tr><th>a</th><td>b</td></tr></table>"
    page = f"<table><tr><td><h2>Head</h2><p>text</p></td><td>{inner}</td></tr></table>"
    assert text_of(page) == "## Head\n\ntext\n\na: b"
    assert text_of('<table role="presentation"><tr><td>a</td><td>b</td></tr></table>') == "a\n\nb"


def test_scripts_navigation_and_hidden_parts_are_left_out() -> None:
    unread = (
        "<nav>Menu</nav><script>x()</script><style>p{}</style><template>t</template>"
        '<div role="navigation">Menu</div><p hidden>h</p><button>Press</button><!-- c -->'
        "<select><option>o</option></select><noscript>n</noscript><svg><title>s</title></svg>"
    )
    assert text_of(f"{unread}<p>shown</p>{unread}") == "shown"


def test_a_picture_is_what_it_is_said_to_show() -> None:
    assert text_of('<p>See<img src=a.png alt="a duck">here<img src=b.png></p>') == "See a duck here"


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title> The\n Page </title>", "The Page"),
        ('<title> </title><meta property="og:title" content="Shared">', "Shared"),
        ("", "Heading"),
    ],
)
def test_a_page_is_titled_by_its_head_else_its_first_heading(head: str, title: str) -> None:
    assert read_html(f"<head>{head}</head><h2>Sub</h2><h1>Heading</h1>").title == title


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ('<meta property="article:modified_time" content="2024-02-01T10:00:00Z">'
         '<meta name="date" content="2023-01-01">', "2024-02-01T10:00:00+00:00"),
        ('<meta name="DC.date" content="2023-01-01">', "2023-01-01"),
        ('<meta http-equiv="last-modified" content="Wed, 31 Jan 2024 12:30:00 GMT">',
         "2024-01-31T12:30:00+00:00"),
        ('<script type="application/ld+json">{"@graph":[{"datePublished":"2022-05-06"}]}</script>',
         "2022-05-06"),
        ('<script type="application/ld+json">{"dateModified": 7, </script>', None),
        ('<script type="application/ld+json">["x", {"dateModified": 7}]</script>', None),
        ('<meta name="date" content="soon">', None),
        ("", None),
    ],
)  # fmt: skip
def test_a_page_is_dated_by_what_it_states(head: str, date: str | None) -> None:
    assert read_html(f"<head>{head}</head><p>x").date == date


@pytest.mark.parametrize(
    "data",
    [
        "<p>café".encode(),
        "\ufeff<p>café".encode(),
        "<p>café".encode("utf-16"),
        '<meta charset="windows-1252"><p>café'.encode("cp1252"),
        '<meta charset="iso-8859-1"><p>café'.encode("cp1252"),
        '<meta http-equiv="Content-Type" content="text/html; charset=KOI8-R"><p>café'.encode(
            "koi8-r", "xmlcharrefreplace"
        ),
        '<?xml version="1.0" encoding="UTF-8"?><p>café'.encode(),
        '<meta charset="no-such-charset"><p>café'.encode(),
    ],
)
def test_a_page_is_read_in_the_encoding_it_declares(data: bytes) -> None:
    assert read_page(data, name="a.html").text.strip() == "café"


def test_a_stray_byte_is_marked_and_many_are_refused() -> None:
    text = read_page(b"<p>" + b"word " * 1000 + b"\xff", name="a.html").text
    assert text.count("\ufffd") == 1
    with pytest.raises(UnreadableDocument, match=r"^a\.html: invalid utf-8") as caught:
        read_page(b"<p>caf\xe9", name="a.html")
    assert caught.value.hint


@pytest.mark.parametrize(
    "page", ["<div>" * 20_000 + "x", "<table><tr><td>" * 3_000 + "x", "<ul><li>" * 2_000 + "x"]
)
def test_a_page_may_nest_as_deep_as_it_likes(page: str) -> None:
    assert read_html(page).text.split()[-1] == "x"
