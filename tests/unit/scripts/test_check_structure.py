"""Each rule of the structure check is broken on purpose, once, in a small tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_structure
from scripts.checks import error_tree, names
from scripts.checks.source import read_tree, words_of

CLEAN = {
    "chunking/__init__.py": "",
    "chunking/errors.py": '''"""The tree of errors.

    WindowfitError        internal_error    500   exit 1
    └── StoreError        store_down        503   exit 4
"""


class WindowfitError(Exception):
    """The root."""

    code = "internal_error"
    status: int = 500
    exit_code = 1


class StoreError(WindowfitError):
    """The store is down."""

    code = "store_down"
    status: int = 503
    exit_code = 4
''',
    "serve/__init__.py": "",
    "serve/context/__init__.py": "",
    "serve/context/budget.py": '"""Budgets."""\n\nimport math\n\nfrom chunking import errors\n',
    "retrieval/llamaindex.py": '"""The border."""\n\nfrom llama_index.core import schema\n',
    "retrieval/embed.py": '"""Embeds."""\n\nimport torch\n',
    "windowfit.py": '"""The command line."""\n\n\ndef main() -> None:\n    """Run."""\n'
    "    from serve.context import budget\n",
}

ERRORS = CLEAN["chunking/errors.py"]


def function_of(size: int, *, name: str = "run") -> str:
    """A documented function of that many lines, two of which are its head and docstring."""
    return f'def {name}():\n    """Run."""\n' + "    value = 1\n" * (size - 2)


def many_methods(count: int) -> str:
    methods = "".join(f'    def m{i}(self):\n        """Do."""\n' for i in range(count))
    return '"""Ports."""\n\n\nclass Port(Protocol):\n    """A port."""\n' + methods


# rule, files on top of the clean tree, the place that must be named
BREACHES = [
    ("module at most", {"scripts/long.py": "x = 1\n" * 301}, "scripts/long.py:301"),
    ("function at most", {"scripts/run.py": function_of(61)}, "scripts/run.py:1"),
    ("nine functions", {"serve/run.py": '"""Run."""\n' + function_of(36)}, "serve/run.py:2"),
    (
        "no own import",
        {"serve/run.py": '"""Run."""\n\n\ndef _run():\n    from chunking import errors\n'},
        "serve/run.py:5",
    ),
    (
        "no own import",
        {"serve/cli.py": '"""Verbs."""\n\n\ndef _run():\n    from . import context\n'},
        "serve/cli.py:5",
    ),
    (
        "command line on top",
        {"windowfit.py": '"""Verbs."""\n\nimport numpy\n'},
        "windowfit.py:3",
    ),
    (
        "command line on top",
        {"serve/app.py": '"""App."""\n\nfrom windowfit import main\n'},
        "serve/app.py:3",
    ),
    (
        "no import cycle",
        {
            "serve/one.py": '"""One."""\n\nfrom serve import two\n',
            "serve/two.py": '"""Two."""\n\nfrom .one import name\n',
        },
        ": import cycle: serve.",
    ),
    (
        "serve.context is pure",
        {"serve/context/order.py": '"""Order."""\n\nimport numpy\n'},
        "serve/context/order.py:3",
    ),
    (
        "serve.context is pure",
        {"serve/context/order.py": '"""Order."""\n\nfrom retrieval import embed\n'},
        "serve/context/order.py:3",
    ),
    (
        "llama_index only",
        {"serve/app.py": '"""App."""\n\nimport llama_index.core\n'},
        "serve/app.py:3",
    ),
    (
        "each heavy library",
        {"serve/app.py": '"""App."""\n\nfrom torch import nn\n'},
        "serve/app.py:3",
    ),
    ("telling module names", {"serve/utils.py": ""}, "serve/utils.py:1"),
    ("telling module names", {"ingest/core/files.py": ""}, "ingest/core/files.py:1"),
    ("protocol at most", {"serve/ports.py": many_methods(6)}, "serve/ports.py:4"),
    ("docstring", {"serve/app.py": "value = 1\n"}, "serve/app.py:1"),
    (
        "docstring",
        {"serve/app.py": '"""App."""\n\n\nclass App:\n    """App."""\n\n    def run(self): ...\n'},
        "serve/app.py:7",
    ),
    ("one word", {"serve/app.py": '"""App."""\n\nnum_chunks = 1\n'}, "serve/app.py:3"),
    (
        "one word",
        {"serve/app.py": '"""App."""\n\n\ndef _cut(chunks, *, maxSize): ...\n'},
        "serve/app.py:4",
    ),
    (
        "every error drawn",
        {"chunking/errors.py": ERRORS.replace("status: int = 503", "status: int = 500")},
        "chunking/errors.py:16",
    ),
    (
        "every error drawn",
        {"chunking/errors.py": ERRORS.replace("    └── StoreError ", "    StoreError ")},
        "chunking/errors.py:16",
    ),
    (
        "every error drawn",
        {"chunking/errors.py": ERRORS.replace("└── StoreError", "└── StoreFault")},
        "chunking/errors.py:1",
    ),
    (
        "every error drawn",
        {
            "serve/app.py": '"""App."""\n\nfrom chunking.errors import StoreError\n\n\n'
            'class Lost(StoreError):\n    """Lost."""\n'
        },
        "serve/app.py:6",
    ),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, CLEAN)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def check(root: Path) -> int:
    return check_structure.main(["--root", str(root)])


def test_a_tree_that_keeps_every_rule_passes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(root) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("holds") == len(check_structure.RULES)


def test_every_rule_has_a_breach_here() -> None:
    broken = {prefix for prefix, _, _ in BREACHES}
    for rule in check_structure.RULES:
        assert any(rule.startswith(prefix) for prefix in broken), rule


@pytest.mark.parametrize(("rule", "files", "place"), BREACHES)
def test_a_broken_rule_is_named_with_its_place_and_no_other_rule_is(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    rule: str,
    files: dict[str, str],
    place: str,
) -> None:
    write(root, files)
    assert check(root) == 1
    printed = capsys.readouterr()
    assert place in printed.err
    assert printed.err.strip()
    for line in printed.err.splitlines():
        assert f"[{rule}" in line


def test_an_empty_tree_is_a_failure_and_not_a_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path) == 1
    assert "no product module" in capsys.readouterr().err


def test_one_long_function_in_ten_is_allowed(root: Path) -> None:
    functions = [function_of(36)] + [function_of(5, name=f"run_{i}") for i in range(9)]
    write(root, {"windowfit.py": '"""Verbs."""\n' + "".join(functions)})
    assert check(root) == 0


def test_names_that_other_interfaces_decide_are_allowed(root: Path) -> None:
    write(root, {"serve/app.py": '"""App."""\n\nmax_context_tokens = 1\n'})
    assert check(root) == 0


def test_the_command_line_may_import_verb_groups_and_its_own_framework(root: Path) -> None:
    text = '"""Verbs."""\n\nimport sys\n\nimport typer\n\nfrom ingest.cli import app\n'
    write(root, {"windowfit.py": text})
    assert check(root) == 0


def test_names_that_are_only_used_are_allowed(root: Path) -> None:
    write(root, {"serve/app.py": '"""App."""\n\nsize = max(1, len("two"))\n'})
    assert check(root) == 0


def test_a_library_may_fill_one_small_folder(root: Path) -> None:
    inside = {f"retrieval/gpu/{name}.py": '"""GPU."""\n\nimport torch\n' for name in ("a", "b")}
    write(root, {**inside, "retrieval/embed.py": '"""Embeds."""\n'})
    assert check(root) == 0


def test_an_overload_and_a_setter_need_no_docstring_of_their_own(root: Path) -> None:
    text = '"""App."""\n\n\n@overload\ndef run(): ...\n\n\n@size.setter\ndef size(): ...\n'
    write(root, {"serve/app.py": text})
    assert check(root) == 0


def test_an_import_inside_a_method_of_a_nested_class_is_local(root: Path) -> None:
    text = '"""A."""\n\n\ndef _f():\n    class A:\n        from chunking import errors\n'
    write(root, {"serve/app.py": text})
    module = next(m for m in read_tree(root) if m.name == "serve.app")
    assert [(found.target, found.local) for found in module.imports] == [("chunking.errors", True)]


def test_names_fall_into_their_words() -> None:
    assert words_of("HTTPError_maxSize2") == ["http", "error", "max", "size", "2"]


def test_generic_protocols_are_protocols(root: Path) -> None:
    text = '"""Ports."""\n\n\nclass Port(typing.Protocol[T]):\n    """A port."""\n'
    write(root, {"serve/ports.py": text})
    module = next(m for m in read_tree(root) if m.name == "serve.ports")
    assert [protocol.name for protocol in names.protocols(module)] == ["Port"]


def test_the_drawing_gives_parents_by_indentation() -> None:
    drawing = "    A  a  1  exit 1\n    ├── B  b  2  exit 2\n    │   └── C  c  3  exit 3\n"
    parents = {name: facts[0] for name, facts in error_tree.drawn_errors(drawing).items()}
    assert parents == {"A": None, "B": "A", "C": "B"}


def test_a_private_error_is_nobodys_to_catch_and_not_drawn(root: Path) -> None:
    text = (
        '"""App."""\n\nfrom chunking.errors import StoreError\n\n\nclass _Lost(StoreError): ...\n'
    )
    write(root, {"serve/app.py": text})
    assert check(root) == 0
