"""Counts by a Hugging Face tokenizer and its chat template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from chunking.counters.seams import adds_up, local_tokenizer
from chunking.counters.wire import (
    longest_first,
    message_payload,
    refused,
    tool_payload,
    well_formed,
)
from chunking.errors import TokenizerUnavailable
from chunking.tokenizer_sources import load_huggingface
from chunking.tokens import Message, TokenCounter, Tool

_DIGEST_LETTERS = 12
_HINT = (
    "let user and assistant turns alternate, and end with a user turn; where the template knows no"
    " system role, set the profile's `system_role` to false"
)


class HuggingFaceCounter:
    """Counts a request as vLLM does: the chat template is rendered, then its text is tokenised.

    Control tokens written inside a message are parsed as such, as the server parses them.

    Attributes:
        name: `"huggingface:ORG/NAME"`.
        identity: the name and a digest of tokenizer and template, whose files may change under it.
        exact: always true.
        exact_tools: always true.
        factor: always 1.
        additive: whether every part of the tokenizer is known to be local, see `seams`.
        control_tokens: the tokenizer's added tokens, longest first, without runs of white space,
            which some tokenizers add and every text contains.
    """

    def __init__(self, folder_or_name: str | Path, *, folders: Sequence[Path] = ()) -> None:
        """Load a tokenizer from a folder, or by its hub name.

        Args:
            folder_or_name: a folder with tokenizer files, which is read without any download,
                or the `ORG/NAME` of a hub repository.
            folders: where a name is looked for, as `NAME` or `ORG/NAME`, before cache and hub.

        Raises:
            DependencyMissing: `transformers` is not installed.
            TokenizerUnavailable: no tokenizer can be loaded from there.
        """
        self._tokenizer: Final = load_huggingface(folder_or_name, folders=folders)
        # A call of the transformers object sets truncation on the Rust object below it each time,
        # which raises "Already borrowed" under threads; the Rust object itself is only read here.
        self._text: Final = self._tokenizer.backend_tokenizer
        self.name: Final = f"huggingface:{folder_or_name}"
        self.identity: Final = f"{self.name}@{self._digest()}"
        self.exact: Final = True
        self.exact_tools: Final = True
        self.factor: Final = Fraction(1)
        added = (token.content for token in self._tokenizer.added_tokens_decoder.values())
        self.control_tokens: Final = longest_first({text for text in added if text.strip()})
        self.additive: Final = local_tokenizer(self._text) and adds_up(self.count)

    @property
    def base(self) -> TokenCounter:
        """Return itself: these counts are not raised."""
        return self

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens."""
        return len(self._text.encode(well_formed(text), add_special_tokens=False))

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """Return the prompt tokens of the request, template and generation prompt included.

        Raises:
            TemplateRefused: the chat template refuses this order of turns.
            TokenizerUnavailable: the tokenizer has no chat template.
        """
        from jinja2 import TemplateError

        if self._tokenizer.chat_template is None:
            raise TokenizerUnavailable(
                f"{self.name} has no chat template, so it counts texts but not requests",
                hint="name the tokenizer of the instruction-tuned model",
            )
        render = self._tokenizer.apply_chat_template
        options = {"tokenize": False, "add_generation_prompt": True}
        turns = [_for_template(message) for message in messages]
        schemas = [tool_payload(tool) for tool in tools] or None
        try:
            prompt = render(turns, tools=schemas, **options)
        except TemplateError as error:
            raise refused(self.name, error, hint=_HINT) from error
        return self.count(prompt)

    def _digest(self) -> str:
        template = json.dumps(self._tokenizer.chat_template, sort_keys=True)
        whole = f"{self._text.to_str()}{template}"
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST_LETTERS]


def _for_template(message: Message) -> dict[str, Any]:
    """Return a message as vLLM 0.32 hands it to a chat template, down to the order of the keys."""
    turn = message_payload(message)
    for call in turn.get("tool_calls", ()):
        function = call.pop("function")
        arguments = _json_object(function["arguments"])
        call["function"] = {"arguments": arguments, "name": function["name"]}
        call["type"] = call.pop("type")
    return turn


def _json_object(text: str) -> dict[str, Any]:
    """Return the arguments of a call; what is no JSON object becomes an empty one, as in vLLM."""
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return arguments if isinstance(arguments, dict) else {}
