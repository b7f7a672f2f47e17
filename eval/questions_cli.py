"""`windowfit eval questions`: makes questions with exact evidence from a collection."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from chunking.document import Document
from chunking.errors import InputError
from eval.making.maker import TYPES, make_questions
from eval.making.questions import MadeQuestions
from eval.written import check_writable, write_text
from retrieval.index import Index
from retrieval.providers import open_engine
from retrieval.settings import IndexSettings
from serve.settings import ServeSettings


def questions(
    out: Annotated[Path, typer.Option(help="JSON-lines file to write the questions to.")],
    *,
    collection: Annotated[str | None, typer.Option(help="Collection to ask about.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Questions of each type, at most.")] = 50,
    type_name: Annotated[
        list[str] | None,
        typer.Option("--type", help=f"Only this type; may be repeated: {', '.join(TYPES)}."),
    ] = None,
    about: Annotated[
        int | None,
        typer.Option("--documents", min=1, help="Ask about so many documents, drawn at random."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make questions with exact evidence from the fields that a collection's documents state.

    Every question is checked: its evidence stands word for word in its document, its answer in the
    evidence, and what is compared has one unit and one year. No model is called or loaded.
    """
    check_writable(out)
    types = _known_types(type_name)
    settings = ServeSettings.load(collection=collection)
    documents = _read(IndexSettings.load(), settings.collection)
    made = make_questions(documents, count=count, types=types, seed=seed, about=about)
    if not made.questions:
        raise InputError(
            f"no question can be made of the {len(documents)} documents of "
            f"{settings.collection!r}: {made.facts} lines state a field",
            hint="questions need lines such as `Capital: Lima` below the title of a document",
            param="collection",
        )
    lines = (json.dumps(one.as_json(), ensure_ascii=False) for one in made.questions)
    write_text("".join(f"{line}\n" for line in lines), out)
    _tell(made, out=out, documents=len(documents), as_json=as_json)


def _known_types(stated: list[str] | None) -> tuple[str, ...]:
    for name in stated or ():
        if name not in TYPES:
            raise InputError(
                f"no type of question is called {name!r}",
                hint=f"choose of {', '.join(TYPES)}",
                param="type",
            )
    return tuple(name for name in TYPES if not stated or name in stated)


def _read(settings: IndexSettings, collection: str) -> list[Document]:
    """Return the documents as they are stored; the embedder is not needed for that."""
    engine = open_engine(settings)
    try:
        return list(Index.open(engine, collection).documents())
    finally:
        engine.close()


def _tell(made: MadeQuestions, *, out: Path, documents: int, as_json: bool) -> None:
    counts = Counter(question.type for question in made.questions)
    if as_json:
        told = {
            "questions": dict(counts),
            "documents": documents,
            "facts": made.facts,
            "short": dict(made.short),
            "left_out": dict(made.left_out),
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    sys.stdout.write(
        f"wrote {len(made.questions):,} questions to {out}: {parts}\n"
        f"from {made.facts:,} facts of {documents:,} documents\n"
    )
    for name, lacking in made.short.items():
        sys.stdout.write(f"could not be made: {lacking:,} {name}\n")
    for reason, times in made.left_out.items():
        sys.stdout.write(f"left out {times:,} times: {reason}\n")
