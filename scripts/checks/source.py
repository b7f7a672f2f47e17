"""Reads the source tree as syntax trees and answers what every structure check asks of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = ("chunking", "retrieval", "ingest", "serve", "eval")
COMMAND_LINE = "windowfit"
"""The one module that may import lazily: it is the start of every command."""

PRODUCT = (*PACKAGES, COMMAND_LINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a rule, at a place an editor can jump to."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        """Return `file:line: message`."""
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, as the full dotted path that the statement spells."""

    target: str
    line: int
    local: bool
    """Whether the statement stands inside a function."""


@dataclass(frozen=True)
class Module:
    """One parsed source file; `path` is relative to the root of the tree."""

    path: Path
    name: str
    size: int
    tree: ast.Module

    @property
    def room(self) -> str:
        """The top folder or top-level module: "serve", "windowfit", "tests"."""
        return self.name.split(".", maxsplit=1)[0]

    @property
    def product(self) -> bool:
        """Whether the wheel holds it."""
        return self.room in PRODUCT

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Every function and method, nested ones included."""
        return tuple(
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )

    @cached_property
    def classes(self) -> tuple[ast.ClassDef, ...]:
        """Every class, nested ones included."""
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every imported name, relative imports made absolute."""
        return tuple(self._imports(self.tree, local=False))

    def _imports(self, node: ast.AST, *, local: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, local)
            elif isinstance(child, ast.ImportFrom):
                source = self._absolute(child)
                for alias in child.names:
                    yield Import(f"{source}.{alias.name}", child.lineno, local)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from self._imports(child, local=local or inside)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        if statement.level == 0:
            return statement.module or ""
        parts = self.name.split(".")
        if self.path.name == "__init__.py":
            parts.append("__init__")
        anchor = parts[: len(parts) - statement.level]
        return ".".join([*anchor, *([statement.module] if statement.module else [])])


def read_tree(root: Path) -> list[Module]:
    """Parse the packages, the command line, the scripts, the tests and the examples below `root`.

    Raises:
        SyntaxError: a file does not parse.
    """
    folders = (*PACKAGES, "scripts", "tests", "docs/examples")
    paths = [path for folder in folders for path in (root / folder).rglob("*.py")]
    single = root / f"{COMMAND_LINE}.py"
    paths += [single] if single.is_file() else []
    return [_read(path, root) for path in sorted(paths)]


def _read(path: Path, root: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(root)
    parts = [part for part in relative.with_suffix("").parts if part != "__init__"]
    tree = ast.parse(text, filename=str(relative))
    return Module(path=relative, name=".".join(parts), size=len(text.splitlines()), tree=tree)


def function_size(function: Function) -> int:
    """Return the lines from `def` to the last statement, docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def words_of(identifier: str) -> list[str]:
    """Return the lower-case words of a snake_case or CamelCase name.

    >>> words_of("maxContext_len")
    ['max', 'context', 'len']
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", identifier)]


def last_name(node: ast.expr) -> str:
    """The last part of `Protocol`, `typing.Protocol`, `Protocol[T]` or `name.setter`."""
    if isinstance(node, ast.Subscript | ast.Call):
        return last_name(node.value if isinstance(node, ast.Subscript) else node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
