"""The context report: what the model saw, what it did not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chunking.document import Chunk
from chunking.sketch import Sketch
from serve.context.route import RouteRecord

Fate = Literal["kept", "trimmed", "merged", "duplicate", "dropped"]
ReadingMode = Literal["retrieve", "full", "exhaustive"]
DropReason = Literal["over_budget", "low_score", "policy", "quarantined"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that might enter the prompt; candidates come in order of priority.

    Attributes:
        place: place of the document in the corpus.
        gap: white space between the document's previous chunk and this one; None where there is
            other text or nothing is known, so that the two are not joined.
        sketch: keys of the text by which near-duplicates are found, see `chunking.sketch`.
        origin: id of the document that the chunk's document is a copy of, byte for byte; its own
            id for the first of several copies, empty where there are none.
        units: what the chunk's piece adds to a prompt, counted at ingestion by the model's base
            tokenizer; None where it was not.
        continued: the same where the chunk continues the piece of the chunk before it.
    """

    chunk: Chunk
    score: float
    via: str
    place: int = 0
    gap: str | None = None
    sketch: Sketch = ()
    origin: str = ""
    units: int | None = None
    continued: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """The fate of one candidate.

    Attributes:
        chunk, document: ids; `start` and `end` are the span in the document's text.
        rank: place among the candidates, from 1; the order of priority.
        tokens: count of the chunk with its header, on its own.
        fate: "kept"; "merged" with the kept neighbour of the same marker, under one header;
            "trimmed" to the span of the entry; "duplicate" or "dropped", not in the prompt.
        marker: number under which the prompt shows the chunk; None unless it is in the prompt.
        reason: why a dropped candidate was dropped.
        duplicate_of: chunk id whose text stands in the prompt instead.
        via: the search step that brought the candidate.
        trimmed_from: where the span of a trimmed chunk ended before it was cut.
        shard: in mode `exhaustive`, the number of the call that read the chunk, from 1.
    """

    chunk: str
    document: str
    breadcrumb: str
    start: int
    end: int
    rank: int
    tokens: int
    fate: Fate
    score: float
    via: str
    marker: int | None = None
    reason: DropReason | None = None
    duplicate_of: str | None = None
    trimmed_from: int | None = None
    shard: int | None = None


@dataclass(frozen=True, slots=True)
class Segments:
    """Prompt tokens by part; the parts sum to the prompt.

    Each part is what the count grew by when the part was added, so that the sum is exact although
    token counts do not add up across a join.
    """

    template: int
    system: int
    history: int
    question: int
    retrieved: int

    @property
    def total(self) -> int:
        """Sum of the parts, the prompt's tokens."""
        return self.template + self.system + self.history + self.question + self.retrieved


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the corpus and of the candidates the model saw.

    Attributes:
        corpus_tokens: tokens of all documents, counted at ingestion with the model's tokenizer;
            None where the collection was not counted with it.
        candidate_tokens: sum of all entries' tokens; `kept_tokens`: sum of those in the prompt.
        percent: characters of the corpus that stand in the prompt, in percent, rounded down.
        unread: in mode `full`, the documents that are not in the prompt, in corpus order.
        passing_documents: documents that the filter passes; None without one.
    """

    corpus_documents: int
    corpus_tokens: int | None
    candidates: int
    candidate_tokens: int
    kept: int
    kept_tokens: int
    percent: float
    unread: tuple[str, ...] = ()
    passing_documents: int | None = None


@dataclass(frozen=True, slots=True)
class ExhaustivePlan:
    """What reading the whole corpus takes, known before the first call.

    Attributes:
        calls: model calls: one for each shard, and one to join their notes if there are several.
        shard_prompt_tokens: prompt tokens of each shard's call.
        note_limit: most answer tokens of a shard's call.
        join_prompt_limit: most prompt tokens of the joining call; 0 where nothing is joined.
        prompt_tokens_at_most, output_tokens_at_most, cost_at_most_usd: most of all calls together.
        join_prompt_tokens: prompt tokens of the joining call, once it was made.
        notes_cut: notes that were cut at a sentence to fit the joining call.
        notes_unfinished: notes that ended because they had no more room.
    """

    calls: int
    shard_prompt_tokens: tuple[int, ...]
    note_limit: int
    join_prompt_limit: int
    prompt_tokens_at_most: int
    output_tokens_at_most: int
    cost_at_most_usd: float
    join_prompt_tokens: int | None = None
    notes_cut: int = 0
    notes_unfinished: int = 0


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the model's server says it read, against what was planned.

    Attributes:
        drift: served minus planned prompt tokens; 0 where the count is exact.
        silently_truncated: the server read less than an exact plan, which is refused unless the
            settings say "report", or less than half of an estimated one.
    """

    prompt_tokens: int
    drift: int
    silently_truncated: bool


@dataclass(frozen=True, slots=True)
class ContextReport:
    """The receipt of an answer, its parts summing to the prompt and to the window.

    Always true of it: `segments.total == prompt_tokens`;
    `prompt_tokens + reserved_output + free == window`; every candidate has exactly one entry;
    `truncated` if and only if a candidate was dropped for lack of room.

    Attributes:
        count: whether `prompt_tokens` is exact or estimated for this model.
        requested_output: answer tokens asked for; above `reserved_output` where that was cut down.
        entries: one per candidate, in order of priority.
        exhaustive: in mode `exhaustive`, the calls; the numbers above are those of the longest
            shard's prompt.
        support: in mode `retrieve`, how far the prompt bears out that it can be answered, from 0 to
            1; None where question or prompt are not in Latin letters, see `retrieval.support`.
        insufficient_evidence: whether that is so low that few such questions have an answer in the
            corpus; None where `support` is.
        removed_citations: citations of the answer that named nothing in the prompt.
        upstream: None where no server was called, or it did not say what it read.
    """

    model: str
    window: int
    count: Literal["exact", "estimated"]
    tokenizer: str
    segments: Segments
    prompt_tokens: int
    reserved_output: int
    requested_output: int
    free: int
    truncated: bool
    mode: ReadingMode
    coverage: Coverage
    entries: tuple[Entry, ...]
    route: RouteRecord
    upstream: Upstream | None = None
    support: float | None = None
    insufficient_evidence: bool | None = None
    removed_citations: int = 0
    llm_calls: int = 0
    cost_usd: float = 0.0
    cost_basis: str = "nothing was called"
    exhaustive: ExhaustivePlan | None = None
