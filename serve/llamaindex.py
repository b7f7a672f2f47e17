"""A LlamaIndex postprocessor that keeps the nodes which fit a model's window, and says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.chat_prompts import CHAT_TEXT_QA_PROMPT
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from pydantic import PrivateAttr

from chunking.duplicates import find_duplicates
from chunking.errors import InputError
from chunking.llamaindex import to_chunk
from chunking.sensitivity import Sensitivity, highest
from chunking.sketch import sketch_of
from chunking.tokens import Message, Role, TokenCounter, counted_exactly
from serve.context.budget import TokenBudget, plan_budget
from serve.context.report import (
    Candidate,
    ContextReport,
    Coverage,
    Entry,
    Segments,
)
from serve.context.route import RouteInputs, RouteRecord
from serve.profiles import ModelProfile
from serve.review import require_approved
from serve.routing import may_leave

_BETWEEN_NODES = "\n\n"
"""What LlamaIndex puts between the texts of nodes in one prompt: `PromptHelper.repack`."""


_ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant")


class WindowPostprocessor(BaseNodePostprocessor):
    """Keeps the nodes that fit a model's window together with template, question and answer.

    Nodes are taken in the order given and never cut; one that repeats a better one, or does not
    fit, is left out. The prompt that is counted is LlamaIndex's own: its template with the texts of
    the nodes, as `response_mode="compact"` writes it in one call. `last_report` accounts for it.

    Where the profile's place is a cloud, nodes above its limit are left out, and so is what repeats
    them: LlamaIndex calls the model itself, past the guard of Windowfit's own calls. The label of
    the question is the caller's to look at.

    Args:
        profile: the model that answers: its window, output limit and name.
        counter: counts for that model, see `chunking.counters.load_counter`.
        template: writes the messages from `context_str` and `query_str`; give it to the response
            synthesizer, too, as its `text_qa_template`.
        output: answer tokens to reserve; the profile's default if None.
        cloud_limit: the highest label that a cloud may be shown; `restricted` it never is.

    Raises:
        ModelUnapproved: the profile has no approved review.
    """

    _profile: ModelProfile = PrivateAttr()
    _counter: TokenCounter = PrivateAttr()
    _template: BasePromptTemplate = PrivateAttr()
    _output: int = PrivateAttr()
    _cloud_limit: Sensitivity = PrivateAttr()
    _report: ContextReport | None = PrivateAttr(default=None)

    def __init__(
        self,
        profile: ModelProfile,
        counter: TokenCounter,
        *,
        template: BasePromptTemplate = CHAT_TEXT_QA_PROMPT,
        output: int | None = None,
        cloud_limit: Sensitivity = Sensitivity.INTERNAL,
    ) -> None:
        require_approved(profile.name, profile.review)
        super().__init__()
        self._cloud_limit = Sensitivity(cloud_limit)
        self._profile = profile
        self._counter = counter
        self._template = template
        self._output = profile.default_output if output is None else output

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex writes the postprocessor down."""
        return "WindowPostprocessor"

    @property
    def last_report(self) -> ContextReport:
        """What became of the nodes of the last question.

        Its corpus is the nodes that were given, and its answer has not been written yet.

        Raises:
            InputError: there was no question yet.
        """
        if self._report is None:
            raise InputError("nothing was processed yet, so there is no report")
        return self._report

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        """Return the nodes that fit, in the order given.

        Raises:
            InputError: there is no question, which is part of the prompt.
            ContextLengthExceeded: template, question and answer alone do not fit the window.
        """
        if query_bundle is None:
            raise InputError("the question is missing: it takes room, too", param="query_str")
        question = query_bundle.query_str
        template, bare = self._count("", ""), self._count("", question)
        budget = plan_budget(
            window=self._profile.window,
            output_limit=self._profile.output_limit,
            fixed=bare,
            requested_output=self._output,
            input_limit=self._profile.input_limit,
        )
        texts = [node.node.get_content(metadata_mode=MetadataMode.LLM).strip() for node in nodes]
        candidates = [_candidate(node) for node in nodes]
        duplicates = find_duplicates(candidates)
        withheld = self._withheld(candidates, duplicates)
        kept, repeats, total = self._pack(
            texts, question, budget, duplicates=duplicates, withheld=withheld
        )
        entries = [
            self._entry(place, candidates, text, kept=kept, repeats=repeats, withheld=withheld)
            for place, text in enumerate(texts)
        ]
        segments = Segments(template, 0, 0, bare - template, total - bare)
        self._report = self._write(entries, candidates, segments, budget)
        return [nodes[place] for place in kept]

    def _withheld(
        self, candidates: Sequence[Candidate], duplicates: Mapping[int, Sequence[int]]
    ) -> frozenset[int]:
        """Return the places of what may not leave: above the limit, or a repetition of that."""
        if self._profile.place == "local":
            return frozenset()
        labels = [candidate.chunk.sensitivity for candidate in candidates]
        withheld = {n for n, label in enumerate(labels) if not may_leave(label, self._cloud_limit)}
        # One text under two labels is the higher one's, whichever was found first; to the end, as
        # what is near to a repetition may be far from what that repeats.
        groups = [{place, *repeated} for place, repeated in duplicates.items()]
        while more := [group for group in groups if group & withheld and group - withheld]:
            withheld.update(*more)
        return frozenset(withheld)

    def _pack(
        self,
        texts: Sequence[str],
        question: str,
        budget: TokenBudget,
        *,
        duplicates: Mapping[int, Sequence[int]],
        withheld: Collection[int],
    ) -> tuple[list[int], dict[int, int], int]:
        """Return the places kept, those of repetitions with what they repeat, and the count.

        Counts do not add up across a join, so the whole prompt is counted with every node.
        """
        kept: list[int] = []
        repeats: dict[int, int] = {}
        total = budget.fixed
        for place in range(len(texts)):
            if place in withheld:
                continue
            repeated = [earlier for earlier in duplicates.get(place, ()) if earlier in kept]
            if repeated:
                repeats[place] = repeated[0]
                continue
            shown = _BETWEEN_NODES.join(texts[one] for one in (*kept, place) if texts[one])
            tokens = self._count(shown, question)
            if tokens <= budget.prompt_limit:
                kept.append(place)
                total = tokens
        return kept, repeats, total

    def _count(self, context: str, question: str) -> int:
        return self._counter.count_messages(self._messages(context, question))

    def _messages(self, context: str, question: str) -> tuple[Message, ...]:
        written = self._template.format_messages(context_str=context, query_str=question)
        return tuple(Message(_role_of(turn), turn.content or "") for turn in written)

    def _entry(
        self,
        place: int,
        candidates: Sequence[Candidate],
        text: str,
        *,
        kept: Sequence[int],
        repeats: dict[int, int],
        withheld: Collection[int],
    ) -> Entry:
        candidate = candidates[place]
        chunk = candidate.chunk
        fate: dict[str, Any] = {"fate": "dropped", "reason": "over_budget"}
        if place in withheld:
            fate["reason"] = "policy"
        elif place in kept:
            fate = {"fate": "kept", "marker": kept.index(place) + 1}
        elif place in repeats:
            fate = {"fate": "duplicate", "duplicate_of": candidates[repeats[place]].chunk.id}
        return Entry(
            chunk=chunk.id,
            document=chunk.document,
            breadcrumb=chunk.breadcrumb,
            start=chunk.start,
            end=chunk.end,
            rank=place + 1,
            tokens=self._counter.count(text),
            score=candidate.score,
            via=candidate.via,
            **fate,
        )

    def _write(
        self,
        entries: Sequence[Entry],
        candidates: Sequence[Candidate],
        segments: Segments,
        budget: TokenBudget,
    ) -> ContextReport:
        kept = [entry for entry in entries if entry.fate == "kept"]
        characters = sum(len(candidate.chunk.text) for candidate in candidates)
        read = sum(entry.end - entry.start for entry in kept)
        profile = self._profile
        labels = [
            candidate.chunk.sensitivity
            for candidate, entry in zip(candidates, entries, strict=True)
            if entry.fate == "kept"
        ]
        inputs = RouteInputs(context_sensitivity=highest(labels) if labels else None)
        return ContextReport(
            model=profile.name,
            window=profile.window,
            count="exact" if counted_exactly(self._counter, ()) else "estimated",
            tokenizer=self._counter.name,
            segments=segments,
            prompt_tokens=segments.total,
            reserved_output=budget.reserved_output,
            requested_output=budget.requested_output,
            free=profile.window - segments.total - budget.reserved_output,
            truncated=any(entry.reason == "over_budget" for entry in entries),
            mode="retrieve",
            coverage=Coverage(
                corpus_documents=len({entry.document for entry in entries}),
                corpus_tokens=None,
                candidates=len(entries),
                candidate_tokens=sum(entry.tokens for entry in entries),
                kept=len(kept),
                kept_tokens=sum(entry.tokens for entry in kept),
                percent=100 * read // characters if characters else 0.0,
            ),
            entries=tuple(entries),
            route=RouteRecord(
                profile.place, f"model={profile.name}", requested=profile.name, inputs=inputs
            ),
        )


def _role_of(turn: ChatMessage) -> Role:
    """Return a turn's role; templates have no other ones than those that every model knows."""
    for role in _ROLES:
        if turn.role.value == role:
            return role
    raise InputError(
        f"the template has a turn of role {turn.role.value!r}, not one of {_ROLES}",
        param="template",
    )


def _candidate(node: NodeWithScore) -> Candidate:
    chunk = to_chunk(node.node)
    via = node.node.metadata.get("via", "given")
    return Candidate(chunk, node.score or 0.0, str(via), sketch=sketch_of(chunk))
