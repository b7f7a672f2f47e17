"""Haystack: `LostInTheMiddleRanker` by words, and `SlidingWindowCompactor` with a token counter.

Haystack has no component that fits retrieved documents to a window by tokens. It offers:

- `LostInTheMiddleRanker(word_count_threshold=…)` before the prompt builder, which keeps documents
  until the threshold is passed: https://docs.haystack.deepset.ai/docs/lostinthemiddleranker
  Its default is no threshold at all, which would send every candidate; the arm "default" is given
  one by the usual rule of 0.75 words a token. It takes no tokenizer; the arm "mistral" is given the
  threshold that Mistral's count of these very candidates makes right, less the longest of them, for
  the document that passes the threshold is kept. The prompt is in the manner of
  https://docs.haystack.deepset.ai/docs/get-started, the sources listed are the documents of
  the `GeneratedAnswer` that `AnswerBuilder` makes from what the prompt builder was given.
- `SlidingWindowCompactor` (experimental), which drops the oldest turns of a conversation by a
  `TokenCounter`, `ApproximateTokenCounter` unless another is given:
  https://docs.haystack.deepset.ai/docs/compaction-hook
  Each candidate is a turn, the best next to the question. It returns messages and lists no sources.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any, Final

from scripts.prove.peers_cases import SYSTEM, Case, Turn, stacked
from scripts.prove.peers_room import Arm, Prompts, Room

WORDS_PER_TOKEN: Final = 0.75
_TEMPLATE: Final = (
    "Given these documents, answer the question.\nDocuments:\n"
    "{% for document in documents %}{{ document.content }}\n{% endfor %}\n"
    "Question: {{ question }}\nAnswer:"
)


class MistralCounter:
    """The right tokenizer as Haystack's `TokenCounter` protocol asks for it."""

    def __init__(self, room: Room) -> None:
        """Count with the room's tokenizer."""
        self._room: Final = room

    def count(self, messages: Sequence[Any], tools: Any = None) -> int:  # noqa: ARG002 - of the protocol
        """Return the tokens of the messages, template included."""
        return self._room.tokenizer.count_any(_turns(messages))


def arms(room: Room) -> dict[str, Arm]:
    """Return both ways, each with its default measure and with the right one."""
    approximate = resolve_name("haystack.token_counters:ApproximateTokenCounter")()
    return {
        "haystack ranker / default": _ranker_arm(room, by_tokens=False),
        "haystack ranker / mistral": _ranker_arm(room, by_tokens=True),
        "haystack compactor / default": _compactor_arm(room, approximate),
        "haystack compactor / mistral": _compactor_arm(room, MistralCounter(room)),
    }


def word_threshold(case: Case, room: Room, *, by_tokens: bool) -> int:
    """Return the words to keep: by the usual rule, or by Mistral's count of these candidates."""
    if not by_tokens:
        return int(room.prompt_limit * WORDS_PER_TOKEN)
    contents = [source.content for source in case.sources]
    words = [len(content.split()) for content in contents]
    tokens = sum(len(room.tokenizer.encode(content)) for content in contents)
    bare = [Turn("system", SYSTEM), Turn("user", f"{_TEMPLATE} {case.question}")]
    fitting = (room.prompt_limit - room.tokenizer.count(bare)) * sum(words) / tokens
    return max(1, int(fitting) - max(words))


def _ranker_arm(room: Room, *, by_tokens: bool) -> Arm:
    document = resolve_name("haystack:Document")
    message = resolve_name("haystack.dataclasses:ChatMessage")
    ranker = resolve_name("haystack.components.rankers:LostInTheMiddleRanker")
    prompt_builder = resolve_name("haystack.components.builders:ChatPromptBuilder")
    answer_builder = resolve_name("haystack.components.builders:AnswerBuilder")
    template = [message.from_system(SYSTEM), message.from_user(_TEMPLATE)]

    def run(case: Case) -> tuple[Prompts, tuple[str, ...]]:
        threshold = word_threshold(case, room, by_tokens=by_tokens)
        documents = [document(id=source.id, content=source.content) for source in case.sources]
        kept = ranker(word_count_threshold=threshold).run(documents=documents)["documents"]
        builder = prompt_builder(template=template, required_variables="*")
        prompt = builder.run(documents=kept, question=case.question)["prompt"]
        replies = [message.from_assistant("See the documents.")]
        built = answer_builder().run(query=case.question, replies=replies, documents=kept)
        listed = tuple(found.id for found in built["answers"][0].documents)
        return (tuple(_turns(prompt)),), listed

    return run


def _compactor_arm(room: Room, counter: Any) -> Arm:
    message = resolve_name("haystack.dataclasses:ChatMessage")
    make = {"system": message.from_system, "user": message.from_user}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it is experimental
        compactor = resolve_name("haystack.hooks.compaction:SlidingWindowCompactor")()

    def run(case: Case) -> tuple[Prompts, None]:
        messages = [make[turn.role](turn.content) for turn in stacked(case)]
        compacted = compactor.compact(messages, room.prompt_limit, counter)
        return (tuple(_turns(compacted or messages)),), None

    return run


def _turns(messages: Sequence[Any]) -> list[Turn]:
    return [Turn(message.role.value, message.text) for message in messages]
