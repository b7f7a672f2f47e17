"""Tells by simple rules what a request asks for; English words alone, the first match in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from serve.context.route import TaskType

LONG_QUESTION_CHARACTERS: Final = 12_000
"""A question of more characters brings a document along: about six pages."""

_CODE = re.compile(
    r"```|\b(?:python|javascript|typescript|sql|regex|regular expression|bash|json schema"
    r"|stack ?trace|traceback|compile[rs]?|unit tests?|pull request|refactor\w*|debug\w*"
    r"|function (?:that|which|to)|write (?:an? |the |some )?(?:code|function|script|query))\b",
    re.IGNORECASE,
)
_WORDS: Final[Sequence[tuple[TaskType, str]]] = (
    (
        "classification",
        r"classif(?:y|ies|ied|ication)|categori[sz]e|which (?:category|class|label|topic)"
        r"|label (?:this|these|the|each|as)|sentiment|spam or|what language is|true or false",
    ),
    (
        "summarisation",
        r"summari[sz]e|summary|summaries|tl;?dr|key (?:points|takeaways|findings)|overview of"
        r"|gist|in brief|abstract of|condense|common themes",
    ),
    (
        "extraction",
        r"extract|list (?:all|every|the|each)|find (?:all|every)|pull out|fill in"
        r"|name (?:all|every|each)|what (?:dates?|amounts?|names?|numbers?) (?:are|is|do|does)",
    ),
    (
        "reasoning",
        r"why|compare|comparison|contrast|versus|vs|explain|analy[sz]e|analysis|assess|evaluate"
        r"|argue|derive|prove|recommend\w*|strategy|business plan|plan (?:for|to)|trade-?offs?"
        r"|pros and cons|implications?|what if|how (?:would|could|should)|should (?:we|i)"
        r"|(?:largest|smallest|highest|lowest|most|least|longest|shortest) (?:of|among)|reason",
    ),
)
_PATTERNS: Final = tuple(
    (task, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for task, words in _WORDS
)


def tell_task(
    question: str, *, mode: str = "retrieve", structured: bool = False, tools: bool = False
) -> TaskType:
    """Return the type of task.

    Whole documents, or a question as long as one, are `long_document`; signs of programs or tools
    are `code`; an answer in a given form is `extraction`; then words decide, in the order
    classification, summarisation, extraction, reasoning. What shows none of this is `other`.

    Args:
        mode: how the corpus is to be read.
        structured: whether the answer must have a given form.
        tools: whether the model may ask for functions to be run.
    """
    if mode in {"full", "exhaustive"} or len(question) > LONG_QUESTION_CHARACTERS:
        return "long_document"
    if tools or _CODE.search(question):
        return "code"
    # A classification asks for a given form, too.
    named = next((task for task, words in _PATTERNS if words.search(question)), None)
    if structured:
        return "classification" if named == "classification" else "extraction"
    return named or "other"
