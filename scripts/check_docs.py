"""Checks the documentation: its code runs, its links resolve, its generated pages are current.

    python -m scripts.check_docs            check; exits with 1 and file:line messages on failure
    python -m scripts.check_docs --write    write docs/errors.md and docs/commands.md anew

Python blocks of README.md and docs/*.md run, all blocks of a file in one namespace; so do the files
of docs/examples. Shell blocks are for reading unless the comment `<!-- run -->` stands before them.
Everything runs in an empty folder, without network and without the caller's settings.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.checks import markdown
from scripts.checks.generated import REGENERATE, errors_page

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE_LIMIT = 40
RUN_SECONDS = 300
SHELLS = frozenset({"bash", "console", "sh"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the documentation; return 1 when something is wrong, else 0."""
    parser = argparse.ArgumentParser(description="Check the documentation.")
    parser.add_argument("--write", action="store_true", help="write the generated pages anew")
    write = parser.parse_args(arguments).write
    findings = list(check_generated(ROOT, write=write))
    if not write:
        findings += [*check_links(ROOT), *check_blocks(ROOT), *check_examples(ROOT)]
    for finding in findings:
        print(finding, file=sys.stderr)
    print(f"docs: {len(findings)} findings" if findings else "docs: as promised")
    return 1 if findings else 0


def check_generated(root: Path, *, write: bool = False) -> Iterator[str]:
    """Compare the generated pages with what the code says now, or write them."""
    pages = {"docs/errors.md": errors_page()}
    with workplace(root) as folder:
        made = run_python(["-m", "scripts.checks.generated"], root=root, folder=folder)
    if made.returncode == 0:
        pages["docs/commands.md"] = made.stdout
    else:
        yield f"windowfit.py:1: cannot print its help: {_last_line(made.stderr)}"
    for name, text in pages.items():
        path = root / name
        if write:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file():
            yield f"{name}:1: missing: run {REGENERATE}"
        elif (line := _first_difference(path.read_text(encoding="utf-8"), text)) is not None:
            yield f"{name}:{line}: out of date: run {REGENERATE}"


def _first_difference(old: str, new: str) -> int | None:
    if old == new:
        return None
    pairs = zip(old.splitlines(), new.splitlines(), strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
    return 1 + (min(len(old.splitlines()), len(new.splitlines())) if same is None else same)


def check_links(root: Path) -> Iterator[str]:
    """Every relative link names a file of the tree and, in Markdown, a heading of it."""
    for page in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        text = page.read_text(encoding="utf-8")
        for link in markdown.links(text):
            parts = urlsplit(link.target)
            if parts.scheme or parts.netloc:
                continue
            where = f"{page.relative_to(root)}:{link.line}"
            path = unquote(parts.path)
            target = root / path[1:] if path.startswith("/") else page.parent / path
            target = target.resolve() if path else page
            if not target.is_relative_to(root) or not target.exists():
                yield f"{where}: {link.target} leads nowhere"
            elif parts.fragment and target.suffix == ".md":
                anchors = markdown.anchors(target.read_text(encoding="utf-8"))
                if unquote(parts.fragment) not in anchors:
                    yield f"{where}: {link.target}: no such heading"


def check_blocks(root: Path) -> Iterator[str]:
    """Run the code blocks of the README and of docs."""
    for page in sorted([*root.glob("README.md"), *root.glob("docs/*.md")]):
        blocks = markdown.blocks(page.read_text(encoding="utf-8"))
        name = page.relative_to(root)
        with workplace(root) as folder:
            pythons = [block for block in blocks if block.language == "python"]
            if pythons:
                done = run_offline(page, root=root, folder=folder)
                yield from _failure(f"{name}:{pythons[0].line}", done)
            for block in blocks:
                if block.marked and block.language in SHELLS:
                    done = _run(["bash", "-euo", "pipefail", "-c", shell_code(block)], root, folder)
                    yield from _failure(f"{name}:{block.line}", done)


def check_examples(root: Path) -> Iterator[str]:
    """Run the examples, each short enough to read at a glance."""
    for example in sorted(root.glob("docs/examples/*.py")):
        name = example.relative_to(root)
        size = len(example.read_text(encoding="utf-8").splitlines())
        if size > EXAMPLE_LIMIT:
            yield f"{name}:{EXAMPLE_LIMIT + 1}: {size} lines, at most {EXAMPLE_LIMIT}"
        with workplace(root) as folder:
            yield from _failure(f"{name}:1", run_offline(example, root=root, folder=folder))


def shell_code(block: markdown.Block) -> str:
    """Return the commands of a shell block; in a console block those after the prompt."""
    lines = block.code.splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(lines)


@contextlib.contextmanager
def workplace(root: Path) -> Iterator[Path]:
    """Give a temporary folder that has this checkout's fetched data and weights, and no more."""
    home = Path(os.environ.get("WINDOWFIT_HOME") or root / ".windowfit")
    # What an example that took too long has started may still be writing there.
    with tempfile.TemporaryDirectory(prefix="windowfit-docs-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shared = {".windowfit/models": home / "models", ".cache/data": root / ".cache/data"}
        for inner, source in shared.items():
            (folder / inner).parent.mkdir()
            if source.is_dir():
                (folder / inner).symlink_to(source.resolve(), target_is_directory=True)
        yield folder


def run_offline(path: Path, *, root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the Python of a document or example in `folder`, without network."""
    return run_python(["-m", "scripts.checks.offline", str(path)], root=root, folder=folder)


def run_python(
    arguments: Sequence[str], *, root: Path, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in `folder` with an environment that holds no one's settings."""
    return _run([sys.executable, *arguments], root, folder)


def _run(command: Sequence[str], root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(root),
        "HOME": str(folder),
        "WINDOWFIT_HOME": str(folder / ".windowfit"),
        "HF_HUB_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        # Help pages have one width and no colour, whatever terminal or CI prints them.
        "COLUMNS": "100",
        "TERM": "dumb",
        "NO_COLOR": "1",
    }
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=RUN_SECONDS,
        )
    except subprocess.TimeoutExpired:
        message = f"took more than {RUN_SECONDS} seconds"
        return subprocess.CompletedProcess(command, 124, "", message)


def _failure(where: str, done: subprocess.CompletedProcess[str]) -> Iterator[str]:
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-15:]
        yield "\n    ".join([f"{where}: ended with {done.returncode}", *lines])


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


if __name__ == "__main__":
    sys.exit(main())
