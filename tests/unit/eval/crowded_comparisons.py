"""Large comparisons, made without a model, for what a report has room for."""

from __future__ import annotations

import random
from dataclasses import replace

from eval.cells import AskedQuestion, Cell
from eval.compare import finish_comparison
from eval.comparison import Comparison
from tests.unit.eval.comparisons import ARMS, LOCAL, cell, example_comparison, report


def crowded(questions: int, *, entries: int, words: int, seed: int = 3) -> Comparison:
    """Return a comparison of four arms with long receipts and answers, no two alike."""
    drawn = random.Random(seed)
    arms = (*ARMS, replace(LOCAL, name="local-rag-16k", window=16_384))
    asked = [
        AskedQuestion(f"q-{place}", f"type_{place % 11}", f"Question {place}?" * 5, "string", "yes")
        for place in range(questions)
    ]

    def crowd(made: Cell) -> Cell:
        receipt = dict(made.report)
        receipt["entries"] = [
            {**entry, "breadcrumb": f"Country {drawn.randrange(256)} > Section > Field {rank}"}
            for rank, entry in enumerate(receipt["entries"])
        ]
        answer = " ".join(f"{drawn.randrange(10**6)}" for _ in range(words))
        return replace(made, report=receipt, answer=answer)

    cells = [
        crowd(cell(arm, one, drawn, report=report(arm, truncated=True, kept=entries)))
        for arm in arms
        for one in asked
    ]
    run = replace(example_comparison().run, arms=arms)
    return finish_comparison(run, asked, cells)
