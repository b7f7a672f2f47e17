"""Finds the definitions of a program, so that each is a section under its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from chunking.document import Section

SOURCE_CODE = "text/x-source"
"""Media type of a program; its blank lines part blocks only before a line that is not indented."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_Place = tuple[int, tuple[str, ...]]


def python_sections(text: str) -> tuple[Section, ...]:
    """Return one section for every function, class and method of a Python program.

    The path of a method is its class and its name. Comments and decorators above a definition
    belong to it; what stands between definitions is under the class it stands in, or under none.
    Empty for a text without definitions, and for one that is no Python.
    """
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = _LINE_END.split(text)
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    places = [(starts[line], path) for line, path in _places(module.body, lines, ())]
    if not any(path for _, path in places):
        return ()
    first = [(0, ())] if not places or places[0][0] else []
    return tuple(_sections([*first, *places], len(text)))


def _places(
    body: Sequence[ast.stmt], lines: Sequence[str], path: tuple[str, ...]
) -> Iterator[_Place]:
    """Yield the line at which each definition begins and its path, and where it is over."""
    inside = False
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = (*path, statement.name)
            yield _first_line(statement, lines), name
            if isinstance(statement, ast.ClassDef):
                yield from _places(statement.body, lines, name)
            inside = True
        elif inside:
            yield _first_line(statement, lines), path
            inside = False


def _first_line(statement: ast.stmt, lines: Sequence[str]) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    line = min([statement.lineno, *(one.lineno for one in decorators)]) - 1
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def _sections(places: Sequence[_Place], end: int) -> Iterator[Section]:
    ends = [start for start, _ in places[1:]]
    for (start, path), stop in zip(places, [*ends, end], strict=True):
        if stop > start:
            yield Section(path, start, stop)
