"""Measures how much of real files is read: the words of their expected Markdown, in order.

    python -m scripts.prove.formats [--below SHARE]

Takes each file of `documents` in the test data (`WINDOWFIT_TEST_DATA`) beside which other projects
put the Markdown that they expect. Counts the longest common subsequence of words, so that a word
out of place does not count. Markup, link targets and comments are no words of the text. Prints a
table by format, the files below a share, and a last line of JSON. Exits with 4 without the data.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from chunking.errors import UnreadableDocument
from ingest.sources import list_source

WORST_SHARE: Final = 0.9
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TARGET: Final = re.compile(r"\]\([^)\s]*\)")
_RENAMED: Final = {"asciidoc": "adoc", "odf": "odt, odp, ods", "webvtt": "vtt"}
"""Folders that are not called by the suffix of their files."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of one file.

    Attributes:
        format: the kind of file.
        name: of the file.
        expected: count of words expected.
        common: count of these that were read, in order.
        read: count of words that were read.
        refusal: why the file was not read, where it was not.
    """

    format: str
    name: str
    expected: int
    common: int
    read: int
    refusal: str = ""

    @property
    def share(self) -> float:
        """Share of the expected words that was read."""
        return self.common / self.expected


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return re.findall(r"\w+", text.casefold())


def expected_words(markdown: str) -> list[str]:
    """Return the words of expected Markdown, without those that only its markup has."""
    text = _TARGET.sub("] ", _COMMENT.sub("", html.unescape(markdown)))
    return words_of(text.replace("\\_", "_"))


def count_common(read: Sequence[str], expected: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    One bit per expected word, as in Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).
    """
    places: dict[str, int] = {}
    for position, word in enumerate(expected):
        places[word] = places.get(word, 0) | 1 << position
    full = (1 << len(expected)) - 1
    unmatched = full
    for word in read:
        matches = unmatched & places.get(word, 0)
        unmatched = ((unmatched + matches) | (unmatched - matches)) & full
    return len(expected) - unmatched.bit_count()


def expected_files(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield the format, the file and the expected Markdown of all files that have one."""
    for expected in sorted(folder.glob("docling/*/groundtruth/*.md")):
        kind = expected.parents[1].name
        name = expected.name.removesuffix(".md")
        sources = expected.parents[1] / "sources"
        for file in (sources / name, sources / f"{name}.{kind}"):
            if file.is_file():
                yield _RENAMED.get(kind, kind), file, expected
                break
    for expected in sorted(folder.glob("markitdown/expected_outputs/*.md")):
        # All of these stand for PDF files; those of other formats share a stem by accident.
        file = folder / "markitdown" / f"{expected.stem}.pdf"
        if file.is_file():
            yield "pdf", file, expected


def measure(folder: Path) -> list[Found]:
    """Return what is read of each file; files of which no word is expected are left out."""
    found: list[Found] = []
    for kind, file, expected in expected_files(folder):
        wanted = expected_words(expected.read_text(encoding="utf-8"))
        if not wanted:
            continue
        try:
            [source] = list_source(str(file), factbook=folder)
            read, refusal = words_of(source.read().text), ""
        except UnreadableDocument as error:
            read, refusal = [], error.message
        common = count_common(read, wanted)
        found.append(Found(kind, file.name, len(wanted), common, len(read), refusal))
    return found


def summary(found: Sequence[Found]) -> dict[str, dict[str, Any]]:
    """Return per format: files, files read, mean share of a file, share of all words."""
    ordered = sorted(found, key=lambda one: one.format)
    rows: dict[str, dict[str, Any]] = {}
    for kind, group in groupby(ordered, key=lambda one: one.format):
        files = list(group)
        rows[kind] = {
            "files": len(files),
            "read": sum(not one.refusal for one in files),
            "mean_share": round(sum(one.share for one in files) / len(files), 4),
            "word_share": round(
                sum(one.common for one in files) / sum(one.expected for one in files), 4
            ),
        }
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the measure; return 4 where the data is missing, else 0."""
    parser = argparse.ArgumentParser(description="Measure how much of real files is read.")
    parser.add_argument("--below", type=float, default=WORST_SHARE, help="list files below it")
    below = parser.parse_args(arguments).below
    folder = Path(os.environ.get("WINDOWFIT_TEST_DATA", ".cache/data")) / "documents"
    if not folder.is_dir():
        print("set WINDOWFIT_TEST_DATA to the folder of the test data", file=sys.stderr)
        return 4
    found = measure(folder)
    rows = summary(found)
    print(f"{'format':14} {'files':>5} {'read':>5} {'mean':>7} {'words':>7}")
    for kind, row in rows.items():
        shares = f"{row['mean_share']:>7.1%} {row['word_share']:>7.1%}"
        print(f"{kind:14} {row['files']:>5} {row['read']:>5} {shares}")
    print()
    for one in sorted(found, key=lambda one: one.share):
        if one.share < below:
            print(f"{one.share:>7.1%} {one.name} {one.refusal}")
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
