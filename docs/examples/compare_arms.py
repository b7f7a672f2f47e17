"""Compare two budgets and a route on the same questions, with no language model and no weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

from eval.comparison import read_comparison

notes = Path("notes")
notes.mkdir(exist_ok=True)
(notes / "peru.txt").write_text("The capital of Peru is Lima.\n\nPeru's coast has 2,414 km.\n")
questions = [
    {"id": "1", "type": "name", "question": "What is the capital of Peru?", "answer": "Lima"},
    {
        "id": "2",
        "type": "number",
        "question": "How long is the coast of Peru?",
        "answer": "2,414 km",
    },
    {"id": "3", "type": "none", "question": "Who wrote the ninth symphony?", "answer": None},
]
Path("questions.jsonl").write_text("\n".join(map(json.dumps, questions)))


def windowfit(*arguments: str) -> None:
    """Run a command of Windowfit."""
    settings = {**os.environ, "WINDOWFIT_EMBEDDER": "hash:256"}  # needs no weights
    subprocess.run([sys.executable, "-m", "windowfit", *arguments], check=True, env=settings)


windowfit("ingest", "run", "notes", "--collection", "notes", "--quiet")
arms = "wide=quote:retrieve,narrow=quote:retrieve:20,route=self-route:narrow:wide"
asked = ("--questions", "questions.jsonl", "--collection", "notes", "--arms", arms)
windowfit("eval", "compare", *asked, "--dry-run")
windowfit("eval", "compare", *asked, "--gate", "wide.accuracy >= narrow.accuracy")

for arm in read_comparison(Path("comparison/comparison.json")).arms:
    print(f"{arm.arm}: {arm.accuracy.mean:.2f} right, {arm.tokens.prompt} prompt tokens")
