"""The rules about sizes, names and docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from scripts.checks.source import Finding, Module, function_size, last_name, words_of

MODULE_LIMIT = 300
FUNCTION_LIMIT = 60
SHORT_LIMIT = 35
SHORT_SHARE = 0.9
PROTOCOL_LIMIT = 5

VAGUE_NAMES = frozenset({"utils", "util", "core", "common", "base", "helpers", "helper", "manager"})
"""Module names that say nothing about what is inside."""

WORDS = {
    # found in a name → the project's word for it
    "num": "count",
    "cnt": "count",
    "nb": "count",
    "max": "limit",
    "len": "size or count",
    "idx": "position or rank",
    "ctx": "context",
    "doc": "document",
    "docs": "documents",
    "snippet": "chunk",
    "snippets": "chunks",
    "tok": "token",
    "toks": "tokens",
    "tmp": "the thing it holds",
    "msg": "message",
    "req": "request",
    "resp": "response",
    "cfg": "configuration",
    "emb": "embedding",
    "coll": "collection",
    "func": "a verb",
    "fn": "a verb",
}
FOREIGN_NAMES = frozenset(
    {
        # Fields and parameters of other people's interfaces, kept as they spell them.
        "ctx",  # click passes its context by this name
        "max_completion_tokens",
        "max_context_tokens",
        "max_input_tokens",
        "max_model_len",
        "max_output_tokens",
        "max_retries",
        "max_tokens",
        "n_ctx",  # llama.cpp's window
        "end_char_idx",  # where a LlamaIndex node ends in its document
        "parent_doc_map",  # as LlamaIndex' node parsers have it
        "start_char_idx",
    }
)


def module_sizes(modules: Sequence[Module]) -> Iterator[Finding]:
    """A module fits a reader's head; a module of tests is read one test at a time."""
    for module in modules:
        if module.size > MODULE_LIMIT and module.room != "tests":
            message = f"{module.size} lines, at most {MODULE_LIMIT}: split it by subject"
            yield Finding(module.path, MODULE_LIMIT + 1, message)


def function_sizes(modules: Sequence[Module]) -> Iterator[Finding]:
    """A function fits a screen."""
    for module in modules:
        for function in module.functions:
            size = function_size(function)
            if size > FUNCTION_LIMIT:
                message = f"{function.name}() has {size} lines, at most {FUNCTION_LIMIT}"
                yield Finding(module.path, function.lineno, message)


def most_functions_short(modules: Sequence[Module]) -> Iterator[Finding]:
    """Nine functions in ten of the product are short; the longest are named when they are not."""
    sized = [
        (function_size(function), module, function)
        for module in modules
        if module.product
        for function in module.functions
    ]
    over = [entry for entry in sized if entry[0] > SHORT_LIMIT]
    allowed = int(len(sized) * (1 - SHORT_SHARE) + 1e-9)
    if len(over) <= allowed:
        return
    for size, module, function in sorted(over, key=lambda entry: -entry[0]):
        message = (
            f"{function.name}() has {size} lines; {len(over)} of {len(sized)} functions are over "
            f"{SHORT_LIMIT}, at most {allowed} may be"
        )
        yield Finding(module.path, function.lineno, message)


def telling_module_names(modules: Sequence[Module]) -> Iterator[Finding]:
    """No module or folder has a name that could hold anything."""
    for module in modules:
        for part in sorted(VAGUE_NAMES.intersection(module.name.split("."))):
            yield Finding(module.path, 1, f"a module named {part!r} says nothing: name its subject")


def small_protocols(modules: Sequence[Module]) -> Iterator[Finding]:
    """A plug-point asks little of whoever implements it."""
    for module in modules:
        for protocol in protocols(module):
            size = sum(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in protocol.body)
            if size > PROTOCOL_LIMIT:
                message = f"protocol {protocol.name} has {size} methods, at most {PROTOCOL_LIMIT}"
                yield Finding(module.path, protocol.lineno, message)


def protocols(module: Module) -> list[ast.ClassDef]:
    """Return the classes of a module that are protocols."""
    return [
        node for node in module.classes if any(last_name(base) == "Protocol" for base in node.bases)
    ]


def public_docstrings(modules: Sequence[Module]) -> Iterator[Finding]:
    """Every public module, class, function and method of the product states its promise."""
    for module in modules:
        if not module.product:
            continue
        if module.tree.body and ast.get_docstring(module.tree) is None:
            yield Finding(module.path, 1, "the module has no docstring")
        for node, name in public_names(module.tree):
            if ast.get_docstring(node) is None:
                yield Finding(module.path, node.lineno, f"{name} has no docstring")


def public_names(
    node: ast.Module | ast.ClassDef, prefix: str = ""
) -> Iterator[tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield the public classes, functions and methods below a module or class, with their names."""
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if child.name.startswith("_") or _restates(child):
            continue
        yield child, prefix + child.name
        if isinstance(child, ast.ClassDef):
            yield from public_names(child, f"{prefix}{child.name}.")


def _restates(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether another definition of the name carries the docstring: an overload or a setter."""
    names = {last_name(decorator) for decorator in node.decorator_list}
    return not names.isdisjoint({"overload", "setter", "deleter", "override"})


def one_word_for_one_thing(modules: Sequence[Module]) -> Iterator[Finding]:
    """Names that the product defines use the project's words, whole."""
    for module in modules:
        if not module.product:
            continue
        for name, line in sorted(set(_defined(module.tree))):
            if name in FOREIGN_NAMES or name.startswith("__"):
                continue
            for word in words_of(name):
                if word in WORDS:
                    message = f"{name}: say {WORDS[word]!r}, not {word!r}"
                    yield Finding(module.path, line, message)


def _defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The names a module brings into being; names it only uses are other people's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
