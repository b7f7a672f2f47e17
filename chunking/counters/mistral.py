"""Counts as `mistral-common` does."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from chunking.counters.seams import adds_up, local_pattern, local_vocabulary
from chunking.counters.wire import (
    longest_first,
    message_payload,
    refused,
    tool_payload,
    well_formed,
)
from chunking.errors import TemplateRefused
from chunking.tokenizer_sources import load_mistral
from chunking.tokens import Message, TokenCounter, Tool

# Mistral v1 writes its turns with these as plain text, so a message that holds them opens a turn.
_MISTRAL_MARKERS = ("[INST]", "[/INST]")

_WITHOUT_TOOLS = frozenset({"mistral:v1"})
_ID_LETTERS = 9
_HINT = (
    "let user and assistant turns alternate, end with a user or tool turn, give every call of a"
    " tool its result, and name calls by nine letters or digits (longer names are cut to the last"
    " nine, as vLLM does)"
)

# White space runs, a break before a bracket, compatibility forms: what normalizers rewrite.
_REWRITABLE = "a  \r\n\t\n[12]  e\u0301 \uff3b\u3000\u00a0"


class MistralCounter:
    """Counts as `mistral-common` does, which is what vLLM's Mistral mode and Mistral's API run.

    The tokenizers lie inside the package: nothing is downloaded. Exact for servers that tokenise
    with mistral-common (vLLM: `--tokenizer-mode mistral`); a server that renders a Jinja template
    instead is counted by `HuggingFaceCounter`.

    Attributes:
        name: `"mistral:VERSION"`.
        identity: the name; the tokenizers lie inside the package.
        exact: always true.
        exact_tools: always true.
        factor: always 1.
        additive: true for v1, v2, v3 and tekken, see `seams`.
        control_tokens: the tokenizer's control tokens and the `[INST]` markers, longest first.
            mistral-common itself reads them in a message as plain text; other servers do not.
    """

    def __init__(self, version: str) -> None:
        """Load a tokenizer of the package.

        Args:
            version: `v1`, `v2`, `v3` (Mistral 7B Instruct v0.3) or `tekken` (Nemo and later).

        Raises:
            ConfigurationError: there is no such version.
            DependencyMissing: `mistral-common[sentencepiece]` is not installed.
        """
        self._chat: Final = load_mistral(version)
        self._text: Final = self._chat.instruct_tokenizer.tokenizer
        # Every encoding is decoded again into a text for debugging, which takes 70 % of the time.
        self._chat.instruct_tokenizer.decode = _no_text
        controls = {self._text.id_to_piece(token) for token in self._text.special_ids}
        self.name: Final = f"mistral:{version}"
        self.identity: Final = self.name
        self.exact: Final = True
        self.exact_tools: Final = True
        self.factor: Final = Fraction(1)
        self.control_tokens: Final = longest_first(controls.union(_MISTRAL_MARKERS))
        self.additive: Final = _local(self._text) and adds_up(self.count)

    @property
    def base(self) -> TokenCounter:
        """Return itself: these counts are not raised."""
        return self

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens."""
        return len(self._text.encode(well_formed(text), bos=False, eos=False))

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """Return the prompt tokens of the request.

        Raises:
            TemplateRefused: Mistral's chat format has no place for this order of turns, for a
                name or a schema of a tool, or (v1) for tools at all.
        """
        from mistral_common.exceptions import MistralCommonException
        from mistral_common.protocol.instruct.request import ChatCompletionRequest

        if tools and self.name in _WITHOUT_TOOLS:
            raise TemplateRefused(
                f"{self.name} has no form for tools, and the request has {len(tools)}",
                hint="ask a model whose tokenizer is Mistral v2 or later, or send no tools",
                param="tools",
            )
        turns = [_with_short_ids(message_payload(message)) for message in messages]
        schemas = [tool_payload(tool) for tool in tools] or None
        try:
            request = ChatCompletionRequest.from_openai(messages=turns, tools=schemas)
            return len(self._chat.encode_chat_completion(request).tokens)
        except MistralCommonException as error:
            raise refused(self.name, error, hint=_HINT) from error
        except (AssertionError, ValueError) as error:
            # The library's own checks; their texts quote the request, so they go no further.
            raise refused(self.name, "mistral-common refuses it", hint=_HINT) from error


def _local(tokenizer: Any) -> bool:
    """Return whether a tokenizer of mistral-common is local at the border, see `seams`."""
    model = tokenizer._model  # the package has no public name for it
    pattern = getattr(model, "_pat_str", None)
    if pattern is not None:  # tekken, over tiktoken
        return local_pattern(pattern)
    # SentencePiece: control tokens are never found in a text, and nothing may rewrite the border.
    special = tokenizer.special_ids
    entries = (piece for number, piece in enumerate(tokenizer.vocab()) if number not in special)
    rewritten: str = model.normalize(_REWRITABLE)
    return rewritten.endswith(_REWRITABLE.replace(" ", "▁")) and local_vocabulary(entries)


def _with_short_ids(turn: dict[str, Any]) -> dict[str, Any]:
    """Keep the last nine letters of longer ids, as vLLM does: Mistral knows no longer ones."""
    for call in turn.get("tool_calls", ()):
        call["id"] = call["id"][-_ID_LETTERS:]
    if turn["role"] == "tool":
        turn["tool_call_id"] = turn.get("tool_call_id", "")[-_ID_LETTERS:] or None
    return turn


def _no_text(tokens: Sequence[int], special_token_policy: object = None) -> str:  # noqa: ARG001
    return ""
