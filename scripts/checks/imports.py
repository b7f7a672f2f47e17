"""The rules about imports: one direction, no cycles, and each heavy library behind one module."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePath

from scripts.checks.source import COMMAND_LINE, PRODUCT, Finding, Import, Module

COMMAND_LINE_MAY_IMPORT = ("chunking", "click", "rich", "typer")
"""What the command line may import at its start, besides verb groups: `--help` answers at once."""

VERBS_MODULE = "cli"

CONFINED = (
    "openai",
    "presidio_analyzer",
    "qdrant_client",
    "qdrant_edge",
    "ray",
    "sentence_transformers",
    "torch",
)
"""Libraries that one module, or one folder below a package, may import."""

BORDER_LIBRARY = "llama_index"
BORDER_MODULE = "llamaindex"
"""The name of the modules that may import it: our own types everywhere else."""

PURE = "serve.context"
PURE_MAY_IMPORT = (PURE, "chunking")


def no_local_imports(modules: Sequence[Module]) -> Iterator[Finding]:
    """Our own imports stand at the top of a module, except in the lazy command line."""
    for module in _product(modules):
        if module.name == COMMAND_LINE:
            continue
        for found in module.imports:
            if found.local and _top(found.target) in PRODUCT:
                message = f"own import of {found.target} inside a function: move it to the top"
                yield Finding(module.path, found.line, message)


def command_line_on_top(modules: Sequence[Module]) -> Iterator[Finding]:
    """The command line mounts verb groups and imports little else; nothing imports it."""
    for module in _product(modules):
        for found in module.imports:
            if module.name == COMMAND_LINE:
                verbs = found.target.split(".")[1:2] == [VERBS_MODULE]
                light = _top(found.target) in {*sys.stdlib_module_names, *COMMAND_LINE_MAY_IMPORT}
                if not (found.local or verbs or light):
                    message = f"{found.target} slows every command: import it where it is needed"
                    yield Finding(module.path, found.line, message)
            elif _inside(found.target, COMMAND_LINE):
                yield Finding(module.path, found.line, f"{COMMAND_LINE} is the top: move this down")


def no_cycles(modules: Sequence[Module]) -> Iterator[Finding]:
    """No module reaches itself through imports, type-checking ones included."""
    product = {module.name: module for module in _product(modules)}
    graph = {
        name: {target for found in module.imports if (target := _resolve(found, product))} - {name}
        for name, module in product.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        # The library lists each module before the one that imports it.
        importer = product[cycle[-1]]
        line = next(i.line for i in importer.imports if _resolve(i, product) == cycle[-2])
        yield Finding(importer.path, line, f"import cycle: {' → '.join(reversed(cycle))}")


def pure_context(modules: Sequence[Module]) -> Iterator[Finding]:
    """`serve.context` computes: it imports the standard library, itself and `chunking` only."""
    for module in modules:
        if not _inside(module.name, PURE) or module.path.stem == BORDER_MODULE:
            continue
        for found in module.imports:
            standard = _top(found.target) in sys.stdlib_module_names
            if not standard and not any(_inside(found.target, name) for name in PURE_MAY_IMPORT):
                message = f"{PURE} is pure: it may not import {found.target}"
                yield Finding(module.path, found.line, message)


def llama_index_at_the_border(modules: Sequence[Module]) -> Iterator[Finding]:
    """LlamaIndex takes seconds to import, so only modules named for it do."""
    for module in _product(modules):
        for found in module.imports:
            if _inside(found.target, BORDER_LIBRARY) and module.path.stem != BORDER_MODULE:
                message = f"{BORDER_LIBRARY} belongs in a module named {BORDER_MODULE}.py"
                yield Finding(module.path, found.line, message)


def libraries_confined(modules: Sequence[Module]) -> Iterator[Finding]:
    """Each library that maps to our errors and types is imported in one place."""
    for library in CONFINED:
        uses = [
            (module, found)
            for module in _product(modules)
            for found in module.imports
            if _inside(found.target, library)
        ]
        homes = {_home(module) for module, _ in uses}
        if len(homes) > 1:
            for module, found in uses:
                places = ", ".join(sorted(str(home) for home in homes))
                message = f"{library} is imported in {len(homes)} places ({places}): keep one"
                yield Finding(module.path, found.line, message)


def _home(module: Module) -> PurePath:
    """The small folder below a package, or the module itself where there is none."""
    folder = module.path.parent
    return module.path if folder.parent == PurePath() else folder


def _product(modules: Sequence[Module]) -> list[Module]:
    return [module for module in modules if module.product]


def _top(dotted: str) -> str:
    return dotted.split(".", maxsplit=1)[0]


def _inside(dotted: str, package: str) -> bool:
    return dotted == package or dotted.startswith(f"{package}.")


def _resolve(found: Import, product: dict[str, Module]) -> str | None:
    """The module of ours that an import names: `a.b.name` is `a.b` unless `name` is a module."""
    if found.target in product:
        return found.target
    parent = found.target.rpartition(".")[0]
    return parent if parent in product else None
