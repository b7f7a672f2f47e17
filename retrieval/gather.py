"""Takes a question apart, and says from what was found where to look next; touches nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from retrieval.aspects import EMPTY_WORDS, find_aspects, find_phrases, strip_phrase
from retrieval.entities import NameTable
from retrieval.records import Hit
from retrieval.spelling import spelled, stands

NAMED_LIMIT = 8
"""Most documents that one question may name for a search of their own."""
UNKNOWN_LIMIT = 2
"""Most names of no document that may lead to one; each may cost a search."""
MEMBER_LIMIT = 16
"""Most documents that a hop leads to; with more, 8,192 tokens hold less than two chunks of each."""
PASSAGE_HITS = 6
"""Hits of a document in which the passage is looked for that names where to go on."""

_LONGEST_NAME = 6
_CLAUSE = re.compile(r"[,;:?!]|\.(?:\s|$)")
_WORD = re.compile(r"\w(?:[\w.'\u2019\-]*\w)?")
_POSSESSIVE = re.compile(r"['\u2019]s$")
_JOINING = frozenset(
    "al d da de del der des di do dos du e el la las le los of the van von".split()
)
"""Words in lower case that names of several words may have inside."""
_OPENING = frozenset(
    "all at by describe each every explain in its list me on rank some than these this "
    "whether".split()
)
"""Words that begin sentences, or follow the verb of a request, besides `EMPTY_WORDS`."""
_BULLET = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s")
DEGREES = (
    "big bright brief broad cheap close deep dense early fast few great heavy high hot large late "
    "light long low narrow near new old poor quick rich short slow small steep strong tall warm "
    "weak wide young"
).split()


def _compared(degree: str) -> tuple[str, str]:
    """Return the comparative and the superlative of an adjective: "larger", "largest"."""
    stem = degree.removesuffix("e")
    if degree.endswith("y"):
        stem = f"{degree[:-1]}i"
    elif degree in ("big", "hot"):
        stem = degree + degree[-1]
    return f"{stem}er", f"{stem}est"


_COMPARING = frozenset(
    "average best better each every fewer least less more most rank their top worse worst".split()
) | {form for degree in DEGREES for form in _compared(degree)}
"""Words that ask for one thing of several documents, to compare or to list it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A capitalised name that no document bears, and the clause of the question it stands in."""

    name: str
    clause: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What a question consists of, by its words alone.

    Attributes:
        named: ids of the documents it names, in its order.
        aspects: the phrases that say what is asked about.
        unknown: the names in it that no document bears.
        relation, measure: where a set is compared, what ties its members to the document named and
            what is asked of each, such as "countries that border" and "population"; else empty.
    """

    named: tuple[str, ...]
    aspects: tuple[str, ...]
    unknown: tuple[Unknown, ...]
    relation: str = ""
    measure: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a hit, and the documents it leads to."""

    text: str
    members: tuple[str, ...]


def take_apart(question: str, names: NameTable) -> Parts:
    """Return the parts of a question, given what documents may be called."""
    question = spelled(question)
    nameless = names.replace(question, ", ")
    relation, measure = _find_comparison(find_phrases(nameless))
    return Parts(
        names.find(question),
        find_aspects(nameless),
        tuple(_find_unknown(question, names))[:UNKNOWN_LIMIT],
        relation,
        measure,
    )


def _find_comparison(phrases: Sequence[str]) -> tuple[str, str]:
    """Return what ties a set together and what is compared in it; both empty where none is."""
    relations = []
    measure = ""
    for phrase in phrases:
        words = phrase.split()
        place = next((n for n, word in enumerate(words) if word.lower() in _COMPARING), len(words))
        relations.append(strip_phrase(" ".join(words[:place])))
        if not measure:
            measure = strip_phrase(" ".join(words[place + 1 :]))
    relation = next(filter(None, relations), "")
    return (relation, measure) if relation and measure else ("", "")


def _find_unknown(question: str, names: NameTable) -> Iterator[Unknown]:
    """Yield the runs of capitalised words that are not documents' names alone."""
    if question.isupper():
        return
    for clause in _CLAUSE.split(question):
        for name in _capitalised(clause):
            if _WORD.search(names.replace(name, "")) and len(name.split()) <= _LONGEST_NAME:
                yield Unknown(name, clause.strip())


def _capitalised(clause: str) -> Iterator[str]:
    """Yield the longest runs of capitalised words: "Port of Spain", "São Tomé"."""
    words = list(_WORD.finditer(clause))
    place = 0
    while place < len(words):
        end = place
        if _opens_name(words, place):
            while (following := _next_of_name(words, end)) is not None:
                end = following
            yield _POSSESSIVE.sub("", clause[words[place].start() : words[end].end()])
        place = end + 1


def _next_of_name(words: Sequence[re.Match[str]], end: int) -> int | None:
    """Return the place of the next capitalised word of a name; None where the name is over."""
    word = words[end][0]
    following = end + 1
    # "Port of Spain" is one name, "GDP of Spain" is not, nor is "Ana's Team".
    while not word.isupper() and following < len(words) and words[following][0] in _JOINING:
        following += 1
    if _POSSESSIVE.search(word) or following >= len(words):
        return None
    return following if words[following][0][0].isupper() else None


def _opens_name(words: Sequence[re.Match[str]], place: int) -> bool:
    word = words[place][0]
    if not word[0].isupper() or word.lower() in EMPTY_WORDS | _OPENING:
        return False
    following = words[place + 1][0] if place + 1 < len(words) else ""
    # "Describe the ..." opens with a verb, "Kathmandu governs ..." with a name.
    return place > 0 or following.lower() not in EMPTY_WORDS | _OPENING


def holds(text: str, name: str) -> bool:
    """Return whether a text has a name in it, word for word."""
    return stands(name, spelled(text))


def find_passages(
    document: str,
    inside: Sequence[Hit],
    around: Sequence[Hit],
    names: NameTable,
    *,
    allowed: Collection[str],
) -> list[Passage]:
    """Return the passages that tie other documents to one document, in the order of the hits.

    Those are passages of its own that name others; and where there are none, chunks of others that
    name it. Names are matched with the documents', nothing else is read out of a text.

    Args:
        inside: hits in the document, best first.
        around: hits in the whole collection, best first.
        allowed: the documents that may be looked at.
    """
    others = frozenset(allowed) - {document}
    found = [
        Passage(text, members)
        for hit in inside[:PASSAGE_HITS]
        for text in _split_passages(hit.chunk.text)
        if (members := tuple(n for n in names.find(text) if n in others)[:MEMBER_LIMIT])
    ]
    if found:
        return found
    naming = [
        hit.chunk.document
        for hit in around
        if hit.chunk.document in others and document in names.find(hit.chunk.text)
    ]
    members = tuple(dict.fromkeys(naming))[:MEMBER_LIMIT]
    return [Passage("", members)] if members else []


def _split_passages(text: str) -> list[str]:
    """Return the lines of a text; the points of a list stay together."""
    passages: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if passages and _BULLET.match(line):
            passages[-1] += f"\n{line}"
        else:
            passages.append(line)
    return passages
