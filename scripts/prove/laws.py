"""Checks the conservation laws of a plan on random cases, each worked out again from the outside.

    python -m scripts.prove.laws [--count 100000]

A case is some documents, candidates cut from them (neighbours, repetitions and odd spans among
them), a conversation and a budget. The tokenizer is one of a few lines whose counts do not add up,
or one whose counts do, so that both ways of packing are tried, thousands of cases a minute.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Final

from chunking.document import Chunk, Document
from chunking.tokens import Message, TokenCounter, Tool
from scripts.prove.counted import count_chunks, counted
from serve.context.assemble import ContextWindow, assemble, count_fixed
from serve.context.budget import TokenBudget, plan_budget
from serve.context.prompt import Prompt
from serve.context.rebuild import shown_spans
from serve.context.report import Candidate

SEED: Final = 20_260_122
_PIECES: Final = (
    *("Peru", "area", "1,285,216", "sq km", "é", "東京", "🙂", "to", "of", "[3]", "Question: x"),
    *("\n", "\n\n", ". ", " ", ": ", "</s>", "<|im_end|>", "\n[2] Chad", "Sources:\n", "..."),
)
_UNIT = re.compile(r"\n+|[^\W\d_]+|\d{1,3}|[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class LineCounter:
    """Counts words, numbers and marks, a run of line breaks once: these counts add up at a line.

    With `merging`, a word of at most three letters merges with one before it, and the number of a
    source with its bracket where the source before it ends in a full stop: then sums are wrong.
    """

    merging: bool
    exact: bool = True
    exact_tools: bool = True
    factor: Fraction = Fraction(1)
    control_tokens: tuple[str, ...] = ("<|im_end|>", "</s>")

    @property
    def name(self) -> str:
        """See `TokenCounter.name`."""
        return "lines:merging" if self.merging else "lines"

    @property
    def identity(self) -> str:
        """See `TokenCounter.identity`."""
        return self.name

    @property
    def additive(self) -> bool:
        """See `TokenCounter.additive`."""
        return not self.merging

    @property
    def base(self) -> TokenCounter:
        """See `TokenCounter.base`."""
        return self

    def count(self, text: str) -> int:
        """See `TokenCounter.count`."""
        units = _UNIT.findall(text)
        if not self.merging:
            return len(units)
        merged, before = 0, ("", "", "")
        for unit in units:
            kind = "word" if unit.isalpha() and len(unit) <= len("the") else unit[:1]
            joins = kind == before[2] == "word" or (kind.isdigit() and before == (".", "\n", "["))
            merged += joins
            before = (*before[1:], "" if joins else kind)
        return len(units) - merged

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """See `TokenCounter.count_messages`."""
        return len(tools) + sum(3 + self.count(message.content) for message in messages) + 1


COUNTERS: Final = (LineCounter(merging=False), LineCounter(merging=True))


@dataclass(frozen=True, slots=True)
class LawsResult:
    """How many cases were tried and which laws were broken how often."""

    cases: int
    broken: dict[str, int]
    merged: int
    duplicates: int
    trimmed: int
    dropped: int
    seconds: float

    @property
    def held(self) -> bool:
        """Whether no case broke any law."""
        return not self.broken


def run(count: int, seed: int = SEED, counters: Sequence[LineCounter] = COUNTERS) -> LawsResult:
    """Try so many cases, the counters in turn."""
    started = time.perf_counter()
    chance = random.Random(seed)
    broken: dict[str, int] = {}
    fates = dict.fromkeys(("kept", "merged", "duplicate", "trimmed", "dropped"), 0)
    for number in range(count):
        case = _case(chance, counters[number % len(counters)])
        for law in _broken(case):
            broken[law] = broken.get(law, 0) + 1
        for entry in case.context.entries:
            fates[entry.fate] += 1
    return LawsResult(
        cases=count,
        broken=broken,
        merged=fates["merged"],
        duplicates=fates["duplicate"],
        trimmed=fates["trimmed"],
        dropped=fates["dropped"],
        seconds=round(time.perf_counter() - started, 1),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    documents: dict[str, Document]
    candidates: tuple[Candidate, ...]
    prompt: Prompt
    fixed: tuple[int, int, int, int]
    budget: TokenBudget
    counter: LineCounter
    context: ContextWindow


def _case(chance: random.Random, counter: LineCounter) -> _Case:
    documents = [Document(f"d{n}", _text(chance, 40), f"Title {n // 2}", "s") for n in range(1, 4)]
    candidates = tuple(_candidates(chance, documents))
    if chance.random() < 0.5:  # noqa: PLR2004 - a coin
        chunks = [candidate.chunk for candidate in candidates]
        candidates = counted(candidates, count_chunks(documents, chunks, counter))
    turns = chance.randint(0, 2)
    prompt = Prompt(
        _text(chance, 6).strip() or "why",
        system=_text(chance, 8),
        history=tuple(
            Message("assistant" if n % 2 else "user", _text(chance, 5)) for n in range(2 * turns)
        ),
        system_role=chance.random() < 0.5,  # noqa: PLR2004 - a coin
        control_tokens=counter.control_tokens,
    )
    fixed = count_fixed(prompt, counter)
    reserved = chance.randint(1, 60)
    budget = plan_budget(
        window=sum(fixed) + reserved + chance.randint(0, 300),
        output_limit=reserved,
        fixed=sum(fixed),
        requested_output=reserved + chance.randint(0, 9),
        max_context_tokens=chance.choice([None, chance.randint(0, 200)]),
    )
    context = assemble(
        candidates,
        prompt=prompt,
        fixed=fixed,
        budget=budget,
        counter=counter,
        in_corpus_order=chance.random() < 0.3,  # noqa: PLR2004 - sometimes
        trimming=chance.random() < 0.3,  # noqa: PLR2004 - sometimes
    )
    known = {document.id: document for document in documents}
    return _Case(known, candidates, prompt, fixed, budget, counter, context)


def _candidates(chance: random.Random, documents: Sequence[Document]) -> Iterator[Candidate]:
    """Yield neighbours in a shuffled order, some of them twice, and some odd spans."""
    found: list[Candidate] = []
    for document in documents:
        end, gap = 0, None
        for position in range(chance.randint(1, 6)):
            start = end
            end = min(len(document.text), start + chance.randint(1, 40))
            if start == end:
                break
            chunk = Chunk.of(document, start=start, end=end, path=(), position=position)
            found.append(Candidate(chunk, chance.random(), "question", gap=gap))
            rest = document.text[end:]
            gap = rest[: len(rest) - len(rest.lstrip())]
            end += len(gap)
    chance.shuffle(found)
    yield from found
    yield from found[: chance.randint(0, 2)]


def _text(chance: random.Random, most: int) -> str:
    return "".join(chance.choices(_PIECES, k=chance.randint(1, most)))


def _broken(case: _Case) -> Iterator[str]:
    """Yield the name of every law that the case breaks."""
    entries, segments = case.context.entries, case.context.segments
    total = case.counter.count_messages(case.context.messages)
    if segments.total != total or sum(case.fixed) + segments.retrieved != total:
        yield "the parts sum to the count of the final messages"
    if total > case.budget.prompt_limit or total + case.budget.reserved_output > case.budget.window:
        yield "nothing overflows"
    if [entry.rank for entry in entries] != list(range(1, len(case.candidates) + 1)):
        yield "every candidate has one entry"
    for entry in entries:
        if (entry.marker is not None) != (entry.fate in {"kept", "merged", "trimmed"}):
            yield "every entry has one fate"
    if not all(
        case.documents[chunk.document].text[chunk.start : chunk.end] == chunk.text
        for chunk in case.context.chunks
    ):
        yield "kept text is a span of its document"
    if case.prompt.messages([_rebuilt(case, n) for n in _markers(case)]) != case.context.messages:
        yield "the prompt is rebuilt from the receipt"
    if any(
        token in m.content for m in case.context.messages for token in case.counter.control_tokens
    ):
        yield "no control token is sent"


def _markers(case: _Case) -> list[int]:
    return [span.marker for span in shown_spans(case.context.entries)]


def _rebuilt(case: _Case, marker: int) -> Chunk:
    span = shown_spans(case.context.entries)[marker - 1]
    document = case.documents[span.document]
    return Chunk.of(document, start=span.start, end=span.end, path=(), position=0)


def main() -> int:
    """Print the result; return 1 where a law was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    result = run(parser.parse_args().count)
    print(json.dumps(asdict(result)))
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main())
