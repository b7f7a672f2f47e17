"""What is a section of a program, and that its chunks are cut between definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Document
from chunking.programs import SOURCE_CODE, python_sections
from chunking.split import Splitter

PROGRAM = '''"""Ships."""

import os

LIMIT = 3


# How far a ship is.
@cached
def distance(ship):
    """Return it."""

    return ship.miles


class Ship:
    """One ship."""

    miles = 0

    async def sail(self):
        def knots():
            return 5

        self.miles += knots()

    flag = "none"


if __name__ == "__main__":
    print(distance(Ship()))
'''


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) + 2 for text in texts]


def test_every_definition_is_a_section_under_its_name() -> None:
    sections = python_sections(PROGRAM)
    found = [(s.path, PROGRAM[s.start : s.end].strip().partition("\n")[0]) for s in sections]
    assert found == [
        ((), '"""Ships."""'),
        (("distance",), "# How far a ship is."),
        (("Ship",), "class Ship:"),
        (("Ship", "sail"), "async def sail(self):"),
        (("Ship",), 'flag = "none"'),
        ((), 'if __name__ == "__main__":'),
    ]
    assert "".join(PROGRAM[s.start : s.end] for s in sections) == PROGRAM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n",
        "this is prose, not Python",
        "def f(:",
        "\0",
        "(" * 5000,
        "def f():\n\t x\n  y",
    ],
)
def test_what_has_no_definitions_has_no_sections(text: str) -> None:
    assert python_sections(text) == ()


@given(
    st.lists(
        st.sampled_from(
            ["def f(): pass", "class C:", "  def g(self): pass", "x = 1", "", "# é", "@d"]
        )
    )
)
def test_sections_are_all_of_the_text_in_order(lines: list[str]) -> None:
    text = "\n".join(lines)
    sections = python_sections(text)
    assert not sections or "".join(text[s.start : s.end] for s in sections) == text
    assert all(left.end == right.start for left, right in pairwise(sections))


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ('def a():\n    return """\n# no comment"""\ndef b(): pass\n', "def b"),
        ("def a():\n    pass\n    # of a\ndef b(): pass\n", "def b"),
        ("def a(): pass\n# of b\ndef b(): pass\n", "# of b"),
        ("def a(): pass\n@(\n  deco\n)\ndef b(): pass\n", "@("),
        ('def a(): return "\\d"\ndef b(): pass\n', "def b"),
    ],
)
def test_a_definition_begins_at_its_decorators_and_comments(text: str, begins: str) -> None:
    first, second = python_sections(text)
    assert (first.path, second.path) == (("a",), ("b",))
    assert text[second.start :].startswith(begins)


GO = (
    "package ships\n\n"
    "func Distance(s Ship) int {\n\ta := s.Miles\n\n\treturn a + s.Offset\n}\n\n"
    "func Sail(s *Ship) {\n\ts.Miles++\n\n\ts.Log = append(s.Log, s.Miles)\n\ts.Far = true\n}\n"
)


def test_programs_are_cut_between_definitions_not_inside_them() -> None:
    document = Document("a.go", GO, "a.go", "a.go", media_type=SOURCE_CODE)
    splitter = Splitter(words, size=23, limit=40)

    chunks = [chunk.text for chunk in splitter.split(document)]

    assert [text[-12:] for text in chunks] == ["+ s.Offset\n}", "Far = true\n}"]
    prose = splitter.split(replace(document, media_type="text/plain"))
    assert prose[0].text.endswith("s.Miles++")
