"""Finds the definitions of a program, so that each is a section under its name."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chunking.cuts import line_starts
from chunking.document import Section

SOURCE_CODE = "text/x-source"
"""Media type of a program; its blank lines part blocks only before a line that is not indented."""

_Place = tuple[int, tuple[str, ...]]


def python_sections(text: str) -> tuple[Section, ...]:
    """Return one section for every function, class and method of a Python program.

    Those inside functions, and those under a condition or a `try`, belong to what they stand in.
    The path of a method is its class and its name. Comments and decorators above a definition
    belong to it; what stands between definitions is under the class it stands in, or under none.
    Empty for a text without definitions, and for one that is no Python.
    """
    try:
        with warnings.catch_warnings():
            # What Python thinks of a program's style is not asked for.
            warnings.simplefilter("ignore")
            module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    starts = line_starts(text)
    lines = [text[start:end] for start, end in pairwise([*starts, len(text)])]
    places = [(starts[line], path) for line, path in _places(module.body, lines, ())]
    if not any(path for _, path in places):
        return ()
    first = [(0, ())] if places[0][0] else []
    return tuple(_sections([*first, *places], len(text)))


def _places(
    body: Sequence[ast.stmt], lines: Sequence[str], path: tuple[str, ...]
) -> Iterator[_Place]:
    """Yield the line at which each definition begins and its path, and where it is over."""
    inside, above = False, 0
    for statement in body:
        line = _first_line(statement, lines, above)
        above = statement.end_lineno or statement.lineno
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = (*path, statement.name)
            yield line, name
            if isinstance(statement, ast.ClassDef):
                yield from _places(statement.body, lines, name)
            inside = True
        elif inside:
            yield line, path
            inside = False


def _first_line(statement: ast.stmt, lines: Sequence[str], above: int) -> int:
    """Return the line of a statement with its decorators and the comments right above it.

    Args:
        above: where the statement before it ends; its own lines may look like comments.
    """
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    line = min([statement.lineno, *(one.lineno for one in decorators)]) - 1
    while decorators and line > above and not lines[line].lstrip().startswith("@"):
        line -= 1
    indent = lines[line][: len(lines[line]) - len(lines[line].lstrip())]
    while line > above and lines[line - 1].startswith(f"{indent}#"):
        line -= 1
    return line


def _sections(places: Sequence[_Place], end: int) -> Iterator[Section]:
    ends = [start for start, _ in places[1:]]
    for (start, path), stop in zip(places, [*ends, end], strict=True):
        if stop > start:
            yield Section(path, start, stop)
