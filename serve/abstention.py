"""Tells whether an answer says that it cannot be answered.

It goes by the first sentence alone, and knows nothing of what is right. So no answer counts both as
one and as declining: "The sources do not say, but it is 5" declines, and "It is 5. The sources say
nothing of other years." answers.
"""

from __future__ import annotations

import re

from chunking.cuts import boundaries

_SOURCES = (
    r"(?:sources?|context|documents?|passages?|excerpts?|texts?|information|data|materials?|"
    r"records?)"
)
_SAY = (
    r"(?:contain|hold|provide|mention|include|specify|state|give|list|report|say|cover|have|offer|"
    r"indicate|disclose|answer|supply|show|record|address|tell|present|speak)"
)
_SAID = (
    r"(?:contained|held|provided|mentioned|included|specified|stated|given|listed|reported|said|"
    r"covered|available|offered|indicated|disclosed|answered|supplied|shown|recorded|addressed|"
    r"presented|found|known|present|possible to (?:answer|determine|say|tell))"
)
_NOT = r"(?:\s?not|n['\u2019]t|\s?never)"
_DECLINING = re.compile(
    rf"\b{_SOURCES}\b[^.!?]{{0,80}}?\b(?:do|does|did|can|could){_NOT}\s(?:\w+\s){{0,3}}?{_SAY}\b"
    rf"|\b(?:is|are|was|were|been|be){_NOT}\s(?:\w+\s){{0,2}}?{_SAID}\b"
    rf"|\bno\s(?:\w+\s){{0,3}}?(?:information|data|mention|figures?|answer|evidence|records?|"
    r"passage|details?|values?|statistics?|estimates?)\b"
    rf"|\b(?:none|neither) of the (?:\w+\s){{0,2}}?{_SOURCES}\b"
    rf"|\b{_SOURCES}\s(?:\w+\s){{0,2}}?(?:lacks?|says? nothing|is silent|are silent)\b"
    r"|\b(?:cannot|can\s?not|can['\u2019]t|could\s?not|couldn['\u2019]t)\s(?:\w+\s){0,2}?"
    r"(?:answer|answered|determine|determined|find|found|say|tell|provide|provided|locate|"
    r"establish|established|inferred|confirm)\b"
    r"|\b(?:unable|not able|impossible)\sto\s(?:answer|determine|find|say|tell|provide|locate)\b"
    r"|\b(?:do|does|did)(?:\s?not|n['\u2019]t)\s"
    r"(?:know|have (?:enough|sufficient|any|that|this|the))\b"
    r"|(?:\bnot enough|n['\u2019]t enough|\binsufficient)\s"
    r"(?:\w+\s)?(?:information|data|evidence|context|detail)\b"
    rf"|^\W*(?:unknown|unanswerable|n/a|not\s{_SAID}|no answer)\b",
    re.IGNORECASE,
)
_CITATION = re.compile(r"\s?\[\d{1,6}(?:\s?[,;]\s?\d{1,6})*\]")


_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_LEAD = re.compile(r"^[^\n]{0,200}:\s*\n\s*")


def without_citations(answer: str) -> str:
    """Return an answer without its citations, the stars of bold letters, and what a model thought.

    Thoughts are what a server left in front of the answer between `<think>` and `</think>`.
    """
    said = _THOUGHTS.sub("", answer)
    return _CITATION.sub("", said).replace("**", "").strip()


def first_sentence(text: str) -> str:
    """Return the first sentence or line of a text; a first line that ends in ":" is passed over."""
    text = _LEAD.sub("", text.strip(), count=1)
    ends = boundaries(text)
    return text[: ends[0]] if ends else text


def abstains(answer: str) -> bool:
    """Return whether an answer says that it cannot be answered; one without any text does.

    So a service may ask another model. Scoring tells both apart, by `is_empty`.
    """
    text = without_citations(answer)
    return not text or _DECLINING.search(first_sentence(text)) is not None


def is_empty(answer: str) -> bool:
    """Return whether an answer says nothing at all, beside citations and thoughts."""
    return not without_citations(answer)
