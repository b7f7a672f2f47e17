"""Measures rankings of documents against graded gold, by ir-measures.

nDCG@k      gains are grades, discounted by log2(rank + 1) (Järvelin and Kekäläinen, 2002)
recall@k    share of the relevant documents among the first k
precision@k share of the first k that is relevant
mrr@k       one divided by the rank of the first relevant document; 0 below rank k
all-gold@k  whether all relevant documents are among the first k
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.packages import IR_MEASURES, load_package
from eval.questions import Question

_NAMES = {"ndcg": "nDCG", "recall": "R", "precision": "P", "mrr": "RR"}
"""What ir-measures calls our metrics."""


def score_documents(
    questions: Sequence[Question],
    rankings: Mapping[str, Sequence[str]],
    limits: Sequence[int],
) -> dict[str, dict[str, float]]:
    """Return the metrics by question; those without a relevant document are left out.

    Args:
        rankings: documents, the best first, by question.
        limits: the k of every metric.
    """
    asked = [question for question in questions if question.relevant]
    package = load_package(IR_MEASURES)
    wanted = {
        getattr(package, measure) @ limit: f"{name}@{limit}"
        for name, measure in _NAMES.items()
        for limit in limits
    }
    grades = {question.id: dict(question.grades) for question in asked}
    run = {
        # What is ranked first has the highest score; no two are equal.
        question.id: {name: -float(rank) for rank, name in enumerate(rankings[question.id])}
        for question in asked
    }
    found = {
        (one.query_id, wanted[one.measure]): float(one.value)
        for one in package.iter_calc(list(wanted), grades, run)
    }
    scores = {}
    for question in asked:
        scores[question.id] = {name: found[question.id, name] for name in wanted.values()}
        for limit in limits:
            first = set(rankings[question.id][:limit])
            scores[question.id][f"all-gold@{limit}"] = float(question.relevant <= first)
    return scores
