"""The rule about errors: the tree drawn in the error module is the tree that the code defines."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from scripts.checks.source import Finding, Module, last_name

DRAWN = re.compile(r"^(?P<stem>[\s│├└─]*)(?P<name>\w+)\s+(?P<code>\w+)\s+(\d+)\s+exit (\d+)\s*$")
ERRORS_MODULE = "chunking.errors"
ROOT = "WindowfitError"
FIELDS = ("code", "status", "exit_code")

Facts = tuple[str | None, ...]
"""Parent, code, status and exit code of an error, as text."""


def errors_drawn(modules: Sequence[Module]) -> Iterator[Finding]:
    """The error module's docstring draws every public error, below its parent, with its numbers."""
    tree = next((module for module in modules if module.name == ERRORS_MODULE), None)
    if tree is None:
        return
    drawn = drawn_errors(ast.get_docstring(tree.tree) or "")
    defined = defined_errors(modules)
    for name, (module, node, expected) in defined.items():
        if name.startswith("_"):
            continue
        if name not in drawn:
            message = f"{name} is not drawn in the docstring of {ERRORS_MODULE}: {expected}"
            yield Finding(module.path, node.lineno, message)
        elif drawn[name] != expected:
            message = f"{name} is drawn as {drawn[name]}, its attributes say {expected}"
            yield Finding(module.path, node.lineno, message)
    for name in drawn.keys() - defined.keys():
        yield Finding(tree.path, 1, f"{name} is drawn in the docstring and defined nowhere")


def drawn_errors(docstring: str) -> dict[str, Facts]:
    """Return (parent, code, status, exit code) of each error in the drawing, by name."""
    drawn: dict[str, Facts] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        match = DRAWN.match(line)
        if match is None:
            continue
        depth = len(match["stem"])
        while above and above[-1][0] >= depth:
            above.pop()
        parent = above[-1][1] if above else None
        drawn[match["name"]] = (parent, match["code"], match[4], match[5])
        above.append((depth, match["name"]))
    return drawn


def defined_errors(
    modules: Sequence[Module],
) -> dict[str, tuple[Module, ast.ClassDef, Facts]]:
    """Return every class below the root error, with (parent, code, status, exit code)."""
    nodes = {
        node.name: (module, node) for module in modules if module.product for node in module.classes
    }
    found: dict[str, tuple[Module, ast.ClassDef, Facts]] = {}
    for name, (module, node) in nodes.items():
        line = [name]
        while line[-1] != ROOT:
            parents = [p for base in nodes[line[-1]][1].bases if (p := last_name(base)) in nodes]
            if not parents or parents[0] in line:
                break
            line.append(parents[0])
        if line[-1] == ROOT:
            fields = [_inherited(field, [nodes[n][1] for n in line]) for field in FIELDS]
            found[name] = (module, node, (line[1] if len(line) > 1 else None, *fields))
    return found


def _inherited(field: str, line: Sequence[ast.ClassDef]) -> str | None:
    for node in line:
        for statement in node.body:
            targets = (
                [statement.target]
                if isinstance(statement, ast.AnnAssign)
                else statement.targets
                if isinstance(statement, ast.Assign)
                else []
            )
            named = any(isinstance(t, ast.Name) and t.id == field for t in targets)
            if named and isinstance(statement, ast.AnnAssign | ast.Assign) and statement.value:
                return str(ast.literal_eval(statement.value))
    return None
