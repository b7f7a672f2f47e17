"""The documents that benchmarks are measured on, and how they get to the process that is timed."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from chunking.document import Document, Section
from ingest.factbook import factbook_files
from scripts.prove.peers_environment import ROOT


def factbook_documents(documents: int) -> list[Document]:
    """Return so many documents of the World Factbook, spread over all of them."""
    place = os.environ.get("WINDOWFIT_FACTBOOK", ROOT / ".cache" / "data" / "factbook")
    files = factbook_files(Path(place))
    step = max(len(files) // documents, 1)
    return [file.parse(file.load()) for file in files[::step][:documents]]


def models_folder() -> Path:
    """Return the folder in which weights are looked for first."""
    return Path(os.environ.get("WINDOWFIT_HOME", ROOT / ".windowfit"), "models").absolute()


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Write documents as the worker reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(document)) + "\n" for document in documents]
    path.write_text("".join(lines), encoding="utf-8")


def read_documents(path: Path) -> list[Document]:
    """Read documents as `write_documents` wrote them."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        sections = [Section(tuple(s["path"]), s["start"], s["end"]) for s in values["sections"]]
        values |= {"sections": tuple(sections), "aliases": tuple(values["aliases"])}
        found.append(Document(**values))
    return found


def ratio(seconds: dict[str, list[float]], upper: str, lower: str) -> float:
    """Return the median over common rounds of how many times as long one took as the other."""
    return statistics.median(
        one / other for one, other in zip(seconds[upper], seconds[lower], strict=False)
    )
