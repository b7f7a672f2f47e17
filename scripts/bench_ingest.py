"""Measures ingestion end to end against LlamaIndex's `IngestionPipeline`, in one run.

    python -m scripts.bench_ingest [--documents 12] [--rounds 5] [--all 256]

The same texts (the World Factbook's, as ingestion reads them), the same weights, the same Qdrant
server, which is started for it. Both run in one process of an environment of their own,
`.cache/peers-ingest`, made on the first run and pinned by `ingest-peers-constraints.txt`; see
`bench_ingest_worker.py` for what is timed. Prints two tables and a last line of JSON; exits with 1
where a limit does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from chunking.document import Document
from chunking.errors import WindowfitError
from retrieval.weights import find_weights
from scripts.bench_chunk import MODEL
from scripts.bench_documents import factbook_documents, models_folder, write_documents
from scripts.prove.peers_environment import ROOT, Peers, PeersUnavailable, run_module
from scripts.qdrant_server import ServerError, running_server

PEERS: Final = Peers(
    home=ROOT / ".cache" / "peers-ingest" / "venv",
    constraints=Path(__file__).with_name("ingest-peers-constraints.txt"),
    requirements=(
        "llama-index-core",
        "llama-index-embeddings-huggingface",
        "llama-index-vector-stores-qdrant",
        "markdown-it-py",
        "nupunkt",
        "qdrant-client",
        "rensa",
        "sentence-transformers",
        "torch",
    ),
)
TO_FORWARD_LIMIT, SPEEDUP_LIMIT = 1.1, 3.0
CHANGED_SHARE: Final = 0.06
"""Of the lines, as between two editions of the World Factbook."""


def next_edition(document: Document) -> Document:
    """Return a document in which some of the lines state other numbers."""
    chance = random.Random(document.id)
    lines = document.text.split("\n")
    changed = [
        line[:-1] + chance.choice("0123456789")
        if line and chance.random() < CHANGED_SHARE
        else line
        for line in lines
    ]
    # A line keeps its length, so that the sections stay where they are.
    return replace(document, text="\n".join(changed), digest="")


def table(result: dict[str, Any]) -> str:
    """Return what was measured as Markdown tables."""
    lines = [
        "| way | seconds | chunks | time / model alone | time / Windowfit |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {way['name']} | {way['seconds']:.2f} | {way['chunks']:,} | {way['to_forward']:.2f} "
        f"| {way['to_windowfit']:.2f} |"
        for way in result["ways"]
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and a last line of JSON; return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=12, help="embedded by the model")
    parser.add_argument("--all", type=int, default=256, help="ingested without a model")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    try:
        weights = find_weights(MODEL, folders=(models_folder(),))
        with (
            tempfile.TemporaryDirectory() as folder,
            running_server(Path(folder, "qdrant")) as server,
        ):
            for name, count in (("model", given.documents), ("free", given.all)):
                documents = factbook_documents(count)
                paths = [Path(folder, f"{name}-{edition}.jsonl") for edition in (1, 2)]
                write_documents(paths[0], documents)
                write_documents(paths[1], map(next_edition, documents))
                printed = run_module(
                    "scripts.bench_ingest_worker",
                    *paths,
                    *(name, weights, server.url, "--rounds", str(given.rounds)),
                    peers=PEERS,
                )
                results[name] = json.loads(printed.splitlines()[-1])
                print(f"\n{results[name]['text']}\n\n{table(results[name])}", flush=True)
    except (PeersUnavailable, ServerError, WindowfitError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    model = results["model"]
    held = model["to_forward"] <= TO_FORWARD_LIMIT and model["speedup"] >= SPEEDUP_LIMIT
    print(json.dumps({**results, "held": held}))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
