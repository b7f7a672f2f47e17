"""Any request that can be packed: documents, candidates, conversation, budget; for hypothesis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from chunking.document import Chunk, Document
from chunking.tokens import Message, TokenCounter
from scripts.prove.counted import count_chunks, counted
from serve.context.assemble import ContextWindow, assemble, count_fixed
from serve.context.budget import TokenBudget, plan_budget
from serve.context.prompt import Prompt
from serve.context.report import Candidate

_FRAGMENTS = (
    *("a", "to", "the ", " of", "Peru", " capital", "population: ", "é", "e\u0301", "ß", "Ελλάδα"),
    *("東京", "भारत", "القاهرة", "🙂", "👩‍👩‍👧‍👦", "🇵🇪", "\ufffd", "\u200b", "\u00a0", "\ufeff"),
    *("0", "7", "12,345.67", " 2024", "1e-9", "%", "[3]", "[1, 2]", "Question: ", "Sources:\n\n"),
    *("\n", "\n\n", " ", "   ", "\t", "\r\n", ". ", "- ", "|", "\\", '"', "\x00", "\x1b[31m"),
    *("<|im_end|>", "<|im_start|>", "[INST]", "[/INST]", "</s>", "<s>", "[TOOL_CALLS]", "<unk>"),
    *("[IN", "ST]", "<|im_", "end|>", "<<s>", "[[INST]"),
)
_TITLES = ("India", "Peru", "The Gambia > Banjul", "</s>")
_PATHS: tuple[tuple[str, ...], ...] = ((), ("Geography",), ("Energy", "Oil [INST]"))
_SYSTEMS = ("", "Answer from the sources.", "Be [INST] brief. </s>")
_ANSWER_PARTS = ("Yes", " [1]", "[2][3]", " [1, 99]", "[0]", "\n[7, 2]", "[ 1]", "[05]", "[12345]")
_BYTE = st.binary(min_size=1, max_size=1)
_FOLLOWS = 170
"""A candidate in three follows the one before it."""
_SHARES = (0.9, 0.6, 1.0, 0.3, 0.75, 1.1, 0.97, 0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One request before it is packed.

    Attributes:
        share: room for retrieved text, as a share of what all candidates would take.
        extra: tokens added to that room.
        trimming: whether the best candidate left out may be cut.
        counted: whether the candidates come with the counts of ingestion.
        cap: the caller's own limit of retrieved tokens.
        input_share: where the provider's limit of prompt tokens lies within that room.
        answer: what a model might write, with citations true and false.
    """

    documents: Mapping[str, Document]
    candidates: tuple[Candidate, ...]
    question: str
    system: str
    history: tuple[Message, ...]
    system_role: bool
    in_corpus_order: bool
    reserved: int
    share: float
    extra: int
    trimming: bool
    counted: bool
    cap: int | None
    input_share: float | None
    answer: str

    def prompt(self, counter: TokenCounter) -> Prompt:
        return Prompt(
            self.question,
            system=self.system,
            history=self.history,
            system_role=self.system_role,
            control_tokens=counter.control_tokens,
        )

    def counted_candidates(self, counter: TokenCounter) -> tuple[Candidate, ...]:
        chunks = [candidate.chunk for candidate in self.candidates]
        return counted(self.candidates, count_chunks(self.documents.values(), chunks, counter))

    def pack(self, counter: TokenCounter) -> Packed:
        """Plan the budget and pack, as a request does."""
        prompt = self.prompt(counter)
        fixed = count_fixed(prompt, counter)
        pieces = (prompt.piece(candidate.chunk, 1) for candidate in self.candidates)
        room = int(self.share * sum(map(counter.count, pieces))) + self.extra
        budget = plan_budget(
            window=sum(fixed) + self.reserved + room,
            output_limit=self.reserved,
            fixed=sum(fixed),
            requested_output=self.reserved,
            input_limit=None
            if self.input_share is None
            else sum(fixed) + int(self.input_share * room),
            max_context_tokens=self.cap,
        )
        context = assemble(
            self.counted_candidates(counter) if self.counted else self.candidates,
            prompt=prompt,
            fixed=fixed,
            budget=budget,
            counter=counter,
            in_corpus_order=self.in_corpus_order,
            trimming=self.trimming,
        )
        return Packed(prompt, fixed, budget, context)


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of a case."""

    prompt: Prompt
    fixed: tuple[int, int, int, int]
    budget: TokenBudget
    context: ContextWindow


def texts(*, pieces: int, repeats: int) -> st.SearchStrategy[str]:
    """Texts of known fragments, of any characters, and of one fragment over and over."""
    return st.one_of(
        st.binary(min_size=1, max_size=pieces).map(_spelled),
        st.text(min_size=1, max_size=pieces),
        st.builds(lambda first, n: _spelled(first) * n, _BYTE, st.integers(1, repeats)),
    )


def _spelled(numbers: bytes) -> str:
    """Read every byte as the number of a fragment: one draw a text, which is fast to make."""
    return "".join(_FRAGMENTS[number % len(_FRAGMENTS)] for number in numbers)


def questions() -> st.SearchStrategy[str]:
    return texts(pieces=8, repeats=20).filter(lambda text: bool(text.strip()))


def cases(*, candidates: int, pieces: int, repeats: int) -> st.SearchStrategy[Case]:
    """Cases of at most so many candidates, fragments in a text, and repetitions of a fragment."""
    counts = [st.binary(min_size=4 * n, max_size=4 * n) for n in range(candidates + 1)]
    bodies = texts(pieces=pieces, repeats=repeats)
    return st.builds(
        _case,
        bodies=st.lists(bodies, min_size=1, max_size=3),
        spans=st.sampled_from(counts).flatmap(lambda spans: spans),
        question=questions(),
        turns=st.lists(questions(), max_size=2),
        choices=st.binary(min_size=6, max_size=6),
        reserved=st.integers(1, 600),
        extra=st.integers(0, 40),
        cap=st.integers(0, 300),
        answer=st.binary(max_size=8),
    )


def _case(
    *,
    bodies: Sequence[str],
    spans: bytes,
    question: str,
    turns: Sequence[str],
    choices: bytes,
    reserved: int,
    extra: int,
    cap: int,
    answer: bytes,
) -> Case:
    titles = _TITLES[: 1 + choices[0] % len(_TITLES)]
    documents = [
        # The last document repeats the first under another name, title and all.
        Document(id=f"d{number}", text=bodies[number % len(bodies)], title=title, source="s")
        for number, title in enumerate(titles)
    ]
    documents.append(replace(documents[0], id="d-copy"))
    return Case(
        documents={document.id: document for document in documents},
        candidates=tuple(_candidates(documents, spans)),
        question=question,
        system=_SYSTEMS[choices[1] % len(_SYSTEMS)],
        history=tuple(
            message
            for turn in turns
            for message in (Message("user", turn), Message("assistant", f"{turn[::-1]} yes"))
        ),
        system_role=bool(choices[2] % 2),
        in_corpus_order=bool(choices[3] % 2),
        reserved=reserved,
        share=_SHARES[choices[4] % len(_SHARES)],
        extra=extra,
        trimming=choices[4] % 3 == 0,
        counted=bool(choices[2] // 2 % 2),
        cap=cap if choices[5] % 4 == 1 else None,
        input_share=_SHARES[choices[3] % 8] if choices[5] % 4 == 3 else None,
        answer="".join(_ANSWER_PARTS[number % len(_ANSWER_PARTS)] for number in answer),
    )


def _candidates(documents: Sequence[Document], numbers: bytes) -> Iterator[Candidate]:
    """Read every four bytes as one candidate: document, start, length and headings."""
    previous: Candidate | None = None
    for which, first, length, path in zip(*[iter(numbers)] * 4, strict=False):
        document = documents[which % len(documents)]
        start = first % min(len(document.text), 30)
        chunk = Chunk.of(
            document,
            start=start,
            end=min(len(document.text), start + 1 + 2 * length),
            path=_PATHS[path % len(_PATHS)],
            position=start,
        )
        if path > _FOLLOWS and previous is not None:
            found = _follower(documents, previous, length)
        else:
            found = Candidate(chunk, score=1 / (1 + start), via="question")
        yield found
        previous = found


def _follower(documents: Sequence[Document], previous: Candidate, length: int) -> Candidate:
    """Return the chunk that follows another one in its document, where there is text left."""
    before = previous.chunk
    text = next(document.text for document in documents if document.id == before.document)
    gap = text[before.end :][: len(text) - before.end - len(text[before.end :].lstrip())]
    start = before.end + len(gap)
    if start == len(text):
        return replace(previous, score=0.1)
    chunk = replace(
        Chunk.of(
            next(document for document in documents if document.id == before.document),
            start=start,
            end=min(len(text), start + 1 + 2 * length),
            path=before.path,
            position=before.position + 1,
        ),
        title=before.title,
    )
    return Candidate(chunk, score=0.1, via="question", gap=gap)
