"""Checks the structure that the design promises; prints its figures, and every breach by file:line.

    python -m scripts.check_structure [--root FOLDER]

Exits with 1 when a rule is broken. The import linter holds the direction between the packages; what
it cannot express is here, read from the syntax trees without importing anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scripts.checks import error_tree, imports, names
from scripts.checks.source import Finding, Module, function_size, read_tree

Check = Callable[[Sequence[Module]], Iterable[Finding]]

RULES: dict[str, Check] = {
    f"module at most {names.MODULE_LIMIT} lines": names.module_sizes,
    f"function at most {names.FUNCTION_LIMIT} lines": names.function_sizes,
    f"nine functions in ten at most {names.SHORT_LIMIT} lines": names.most_functions_short,
    "no own import inside a function": imports.no_local_imports,
    "command line on top, and light": imports.command_line_on_top,
    "no import cycle": imports.no_cycles,
    "serve.context is pure": imports.pure_context,
    "llama_index only in llamaindex.py": imports.llama_index_at_the_border,
    "each heavy library in one module": imports.libraries_confined,
    "telling module names": names.telling_module_names,
    f"protocol at most {names.PROTOCOL_LIMIT} methods": names.small_protocols,
    "docstring on every public name": names.public_docstrings,
    "one word for one thing": names.one_word_for_one_thing,
    "every error drawn, with its numbers": error_tree.errors_drawn,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the tree below `--root`; return 1 when a rule is broken, else 0."""
    parser = argparse.ArgumentParser(description="Check the structure that the design promises.")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the source tree")
    modules = read_tree(parser.parse_args(arguments).root)
    if not any(module.product for module in modules):
        print("no product module found: run this at the root of the source tree", file=sys.stderr)
        return 1
    _print_table(figures(modules))
    breaches = {rule: list(check(modules)) for rule, check in RULES.items()}
    print()
    _print_table({rule: _verdict(len(found)) for rule, found in breaches.items()})
    for rule, found in breaches.items():
        for finding in found:
            print(f"{finding} [{rule}]", file=sys.stderr)
    return 1 if any(breaches.values()) else 0


def figures(modules: Sequence[Module]) -> dict[str, str]:
    """Return what can be counted about the product, by what is counted."""
    product = [module for module in modules if module.product]
    tests = [module for module in modules if module.room == "tests"]
    longest = max(product, key=lambda module: module.size)
    sized = [
        (function_size(function), f"{function.name}, {module.path}")
        for module in product
        for function in module.functions
    ]
    longest_function = max(sized, default=(0, "none"))
    short = _percent(sum(size <= names.SHORT_LIMIT for size, _ in sized), len(sized))
    product_lines = sum(module.size for module in product)
    test_lines = sum(module.size for module in tests)
    return {
        "product modules": f"{len(product)}, {product_lines} lines",
        "longest module": f"{longest.size} lines ({longest.path})",
        "functions": f"{len(sized)}, {short} at most {names.SHORT_LIMIT} lines",
        "longest function": f"{longest_function[0]} lines ({longest_function[1]})",
        "protocols": str(sum(len(names.protocols(module)) for module in product)),
        "public names": str(sum(1 for m in product for _ in names.public_names(m.tree))),
        "error classes": str(len(error_tree.defined_errors(modules))),
        "test lines": f"{test_lines}, {_percent(test_lines, product_lines)} of the product's",
        "longest test module": f"{max((module.size for module in tests), default=0)} lines",
    }


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "n/a"


def _verdict(count: int) -> str:
    return "holds" if count == 0 else f"BROKEN, {count} place{'s' if count > 1 else ''}"


def _print_table(rows: dict[str, str]) -> None:
    width = max(len(label) for label in rows)
    for label, value in rows.items():
        print(f"{label:<{width}}  {value}")


if __name__ == "__main__":
    sys.exit(main())
