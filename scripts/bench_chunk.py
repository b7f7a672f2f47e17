"""Measures chunking against plain tokenization and against five libraries, in one run.

    python -m scripts.bench_chunk [--rounds 5] [--documents 256] [--case factbook prose]

Needs what `make data` fetches; the prose is that of Chroma's chunking benchmark, under the folder
that `WINDOWFIT_TEST_DATA` names. The libraries lie in an environment of their own,
`.cache/peers-chunk`, made on the first run and pinned by `chunk-peers-constraints.txt`. Windowfit
is measured there, too, by the same process as the libraries: see `bench_chunk_worker.py` for what
is timed and how, and `bench_chunk_arms.py` for how each library is used.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chunking.document import Document
from chunking.errors import WindowfitError
from retrieval.weights import find_weights
from scripts.bench_documents import factbook_documents, models_folder, write_documents
from scripts.prove.peers_environment import ROOT, Peers, PeersUnavailable, run_module

PEERS: Final = Peers(
    home=ROOT / ".cache" / "peers-chunk" / "venv",
    constraints=Path(__file__).with_name("chunk-peers-constraints.txt"),
    requirements=(
        "chonkie",
        "langchain-text-splitters",
        "llama-index-core",
        "markdown-it-py",
        "numpy",
        "nupunkt",
        "semantic-text-splitter",
        "semchunk",
        "tiktoken",
        "tokenizers",
    ),
)
MODEL: Final = "all-MiniLM-L6-v2"
ENCODING: Final = "cl100k_base"
FOLDER: Final = ROOT / ".cache" / "peers-chunk" / "texts"
PLAIN_LIMIT, SPEEDUP_LIMIT = 1.5, 2.0
TARGET = "factbook"
"""The case that the limits are set for, ingestion's own; the others show where they do not hold."""


def cases(documents: int) -> dict[str, tuple[str, list[Document]]]:
    """Return what is split in each case, and by which tokenizer.

    - factbook: the World Factbook as ingestion reads it, by the embedder's tokenizer;
    - plain: its text without its fields, by the tokenizer that libraries are fastest with;
    - prose: reports, papers and speeches, by the same; only where its folder is named.
    """
    factbook = factbook_documents(documents)
    found = {
        "factbook": (f"tokenizers:{_tokenizer_file()}", factbook),
        "plain": (f"tiktoken:{ENCODING}", [_bare(d.id, d.text) for d in factbook]),
    }
    folder = os.environ.get("WINDOWFIT_TEST_DATA")
    if folder:
        files = sorted(Path(folder, "chunking_evaluation", "corpora").glob("*.md"))
        prose = [_bare(file.stem, file.read_text(encoding="utf-8")) for file in files]
        found["prose"] = (f"tiktoken:{ENCODING}", prose)
    return found


def _bare(name: str, text: str) -> Document:
    return Document(name, text, title="", source=name)


def _tokenizer_file() -> Path:
    return Path(find_weights(MODEL, folders=(models_folder(),)), "tokenizer.json")


def table(result: dict[str, Any]) -> str:
    """Return what was measured of one case as a Markdown table."""
    lines = [
        "| way | M tokens/s | time / plain tokenization | time / Windowfit | chunks |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {arm['name']} | {arm['rate'] / 1e6:.2f} | {arm['to_plain']:.2f} "
        f"| {arm['to_windowfit']:.2f} | {arm['chunks'] or ''} |"
        for arm in result["arms"]
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each case and a last line of JSON; return 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=256, help="how many of the Factbook's")
    parser.add_argument("--case", nargs="+", help="which cases; all by default")
    parser.add_argument("--size", type=int, default=200, help="tokens of a chunk")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    try:
        for name, (tokenizer, documents) in cases(given.documents).items():
            if given.case and name not in given.case:
                continue
            path = FOLDER / f"{name}.jsonl"
            write_documents(path, documents)
            options = ("--rounds", str(given.rounds), "--size", str(given.size))
            printed = run_module(
                "scripts.bench_chunk_worker", path, tokenizer, *options, peers=PEERS
            )
            results[name] = json.loads(printed.splitlines()[-1])
            print(f"\n{name}: {results[name]['text']}\n\n{table(results[name])}", flush=True)
    except (PeersUnavailable, WindowfitError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    held = {
        name: result["to_plain"] <= PLAIN_LIMIT and result["speedup"] >= SPEEDUP_LIMIT
        for name, result in results.items()
    }
    print(json.dumps({**results, "held": held}))
    return 0 if held.get(TARGET, True) else 1


if __name__ == "__main__":
    sys.exit(main())
