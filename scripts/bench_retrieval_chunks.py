"""Measures how well questions find their excerpts in chunks of Windowfit and of two libraries.

    python -m scripts.bench_retrieval_chunks [--sizes 64 128 256] [--dataset FOLDER]

The data set is Chroma's benchmark of chunking, under the folder that `WINDOWFIT_TEST_DATA` names.
All its corpora are one index, searched by the cosine of the default embedder's vectors, exactly.
Each splitter aims at the same tokens of the embedder; the libraries are measured without overlap
and with the fifth of a chunk that their own examples take. They lie in the environment of
`bench_chunk.py`, see there; `bench_retrieval_chunks_worker.py` says how each is used. Vectors are
kept under `.cache/peers-chunk`, so that a second run embeds nothing anew; the first one takes
half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from chunking.document import Document
from chunking.errors import WindowfitError
from chunking.split import Splitter
from eval.datasets import RetrievalSet
from eval.questions import Span
from eval.searching.coverage import measure_coverage
from eval.searching.excerpts import load_excerpts
from eval.statistics import compare
from retrieval.embed import Embedder
from retrieval.providers import open_embedder
from retrieval.settings import IndexSettings
from retrieval.weights import find_weights
from scripts.bench_chunk import MODEL, PEERS
from scripts.bench_documents import models_folder, write_documents
from scripts.kept_vectors import KeptVectors
from scripts.prove.peers_environment import ROOT, PeersUnavailable, run_module

FOLDER: Final = ROOT / ".cache" / "peers-chunk"
SIZES: Final = (64, 96, 128, 160, 200, 256)
RANKS: Final = (5, 10)
OVERLAP_SHARE: Final = 5
WINDOWFIT: Final = "Windowfit"


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk: where it stands, and what of it is embedded."""

    span: Span
    embedded: str


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one splitter at one size.

    Attributes:
        tokens: mean tokens of a chunk's own text, without special ones.
        values: of every question, by name of the metric as in "recall@5".
        corpora: the corpus that each question is about.
    """

    splitter: str
    size: int
    overlap: int
    chunks: int
    tokens: float
    values: Mapping[str, Sequence[float]]
    corpora: Sequence[str]

    @property
    def metrics(self) -> dict[str, float]:
        """Return the mean of each metric over all questions."""
        return {name: float(np.mean(values)) for name, values in self.values.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return what the last line of JSON holds: all but the values of single questions."""
        of = np.array(self.corpora)
        return {
            "splitter": self.splitter,
            "size": self.size,
            "overlap": self.overlap,
            "chunks": self.chunks,
            "tokens": self.tokens,
            "metrics": self.metrics,
            "by_corpus": {
                corpus: {
                    name: float(np.mean(np.array(values)[of == corpus]))
                    for name, values in self.values.items()
                }
                for corpus in sorted({*self.corpora})
            },
        }


def windowfit_pieces(documents: Sequence[Document], embedder: Embedder, size: int) -> list[Piece]:
    """Return the chunks that Windowfit makes, headings as breadcrumbs."""
    splitter = Splitter(embedder.count_tokens, size=size, limit=embedder.input_limit)
    return [
        Piece(Span(chunk.document, chunk.start, chunk.end), chunk.embedded_text)
        for document in documents
        for chunk in splitter.split(document)
    ]


def peer_pieces(
    documents: Sequence[Document], sizes: Sequence[int]
) -> Iterator[tuple[str, int, int, list[Piece]]]:
    """Yield each peer's name, size, overlap and chunks.

    Raises:
        PeersUnavailable: the peers' environment cannot be made, or a peer failed.
    """
    file = FOLDER / "texts" / "excerpts.jsonl"
    write_documents(file, documents)
    tokenizer = Path(find_weights(MODEL, folders=(models_folder(),)), "tokenizer.json")
    wanted = [f"{s}:{overlap}" for s in sizes for overlap in (0, s // OVERLAP_SHARE)]
    module = "scripts.bench_retrieval_chunks_worker"
    printed = run_module(module, file, tokenizer, *wanted, peers=PEERS)
    texts = {document.id: document.text for document in documents}
    for name, by_size in json.loads(printed.splitlines()[-1]).items():
        for sizes_given, by_document in by_size.items():
            size, overlap = map(int, sizes_given.split(":"))
            pieces = [
                Piece(Span(document, start, end), texts[document][start:end])
                for document, spans in by_document.items()
                for start, end in spans
            ]
            yield name, size, overlap, pieces


def measured(
    data: RetrievalSet, pieces: Sequence[Piece], vectors: KeptVectors
) -> dict[str, list[float]]:
    """Return recall and IoU of every question at every rank."""
    rows = vectors.embed([piece.embedded for piece in pieces])
    questions = vectors.embed([question.question for question in data.questions])
    order = np.argsort(-(questions @ rows.T), axis=1, kind="stable")[:, : max(RANKS)]
    values: dict[str, list[float]] = {}
    for question, ranked in zip(data.questions, order, strict=True):
        for rank in RANKS:
            coverage = measure_coverage(question.spans, [pieces[at].span for at in ranked[:rank]])
            values.setdefault(f"recall@{rank}", []).append(coverage.recall)
            values.setdefault(f"iou@{rank}", []).append(coverage.iou)
    return values


def rows_of(data: RetrievalSet, sizes: Sequence[int], embedder: Embedder) -> Iterator[Row]:
    """Yield what is measured of every splitter at every size."""
    documents = data.documents or ()
    texts = {document.id: document.text for document in documents}
    corpora = [question.type for question in data.questions]
    ways = [(WINDOWFIT, size, 0, windowfit_pieces(documents, embedder, size)) for size in sizes]
    with closing(KeptVectors(FOLDER / "vectors.sqlite", embedder.embed)) as vectors:
        for name, size, overlap, pieces in (*ways, *peer_pieces(documents, sizes)):
            spans = [piece.span for piece in pieces]
            own = [texts[span.document][span.start : span.end] for span in spans]
            tokens = float(np.mean(embedder.count_tokens(own))) - embedder.count_tokens([""])[0]
            row = Row(
                name, size, overlap, len(pieces), tokens, measured(data, pieces, vectors), corpora
            )
            yield row
            print(f"{name} {size}:{overlap} {row.metrics}", file=sys.stderr)


def table(rows: Sequence[Row]) -> str:
    """Return what was measured as a Markdown table, by size."""
    names = list(rows[0].metrics)
    lines = [
        f"| size | splitter | overlap | chunks | mean tokens | {' | '.join(names)} |",
        f"|{'---|' * (5 + len(names))}",
    ]
    for row in sorted(rows, key=lambda row: row.size):
        values = " | ".join(f"{row.metrics[name]:.4f}" for name in names)
        lines.append(
            f"| {row.size} | {row.splitter} | {row.overlap} | {row.chunks:,} "
            f"| {row.tokens:.0f} | {values} |"
        )
    return "\n".join(lines)


def lost(rows: Sequence[Row]) -> list[str]:
    """Return every metric in which a peer is not below Windowfit at its size, and how sure that is.

    The interval is that of the difference on the same questions, by a paired bootstrap.
    """
    ours = {row.size: row for row in rows if row.splitter == WINDOWFIT}
    return [
        f"{name} at {row.size}: {found.second:.4f}, "
        f"{row.splitter} with overlap {row.overlap}: {found.first:.4f}, "
        f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
        for row in rows
        if row.splitter != WINDOWFIT
        for name, values in row.values.items()
        if (found := compare(values, ours[row.size].values[name])).difference <= 0
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table and a last line of JSON; return 1 where a peer is not below Windowfit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="tokens of a chunk")
    data = os.environ.get("WINDOWFIT_TEST_DATA", str(ROOT / ".cache" / "data"))
    folder = Path(data, "chunking_evaluation")
    parser.add_argument("--dataset", type=Path, default=folder, help="folder of the data set")
    given = parser.parse_args(arguments)
    try:
        embedder = open_embedder(IndexSettings(home=models_folder().parent))
        rows = list(rows_of(load_excerpts(given.dataset), given.sizes, embedder))
    except (PeersUnavailable, WindowfitError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print(f"\n{table(rows)}\n")
    missed = lost(rows)
    for line in missed:
        print(f"not above: {line}")
    print(json.dumps({"rows": [row.to_dict() for row in rows], "held": not missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
