"""Counters of real tokenizers: Mistral, Hugging Face with its chat template, tiktoken, an estimate.

A tokenizer library is imported by the constructor that needs it, never by this module. A counter
is built once and then only read: calls share no mutable state, so threads may share a counter.

Text that no server can receive is counted as what must be sent instead, see `well_formed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from chunking.errors import ConfigurationError, InputError, TokenizerUnavailable
from chunking.tokenizer_sources import load_huggingface, load_mistral, load_tiktoken, unknown_name
from chunking.tokens import Message, TokenCounter

# OpenAI's cookbook, "How to count tokens with tiktoken", section 6: gpt-4o, gpt-4, gpt-3.5-turbo.
OPENAI_MESSAGE_TOKENS: Final = 3
OPENAI_REPLY_TOKENS: Final = 3

# cl100k_base counts 19 % fewer tokens than Mistral on the World Factbook: 1 / 0.81, rounded up.
DEFAULT_ESTIMATE_FACTOR: Final = 1.25

# Mistral v1 writes its turns with these as plain text, so a message that holds them opens a turn.
_MISTRAL_MARKERS = ("[INST]", "[/INST]")


def well_formed(text: str) -> str:
    r"""Return the text with surrogate pairs joined and every lone surrogate replaced by U+FFFD.

    A lone surrogate (`json.loads` makes one of `"\ud800"`) has no UTF-8 form: tokenizers raise on
    it and vLLM answers 400. Every counter counts `well_formed(text)`, so whoever sends a counted
    text sends `well_formed(text)`. Text without surrogates is returned as it is. This is also
    the rule of `tiktoken.Encoding.encode`.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class MistralCounter:
    """Counts as `mistral-common` does, which is what vLLM's Mistral mode and Mistral's API run.

    The tokenizers lie inside the package: nothing is downloaded. Exact for servers that tokenise
    with mistral-common (vLLM: `--tokenizer-mode mistral`); a server that renders a Jinja template
    instead is counted by `HuggingFaceCounter`.

    Attributes:
        name: `"mistral:VERSION"`.
        exact: always true.
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
        controls = {self._text.id_to_piece(token) for token in self._text.special_ids}
        self.name: Final = f"mistral:{version}"
        self.exact: Final = True
        self.control_tokens: Final = _longest_first(controls.union(_MISTRAL_MARKERS))

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens."""
        return len(self._text.encode(well_formed(text), bos=False, eos=False))

    def count_messages(self, messages: Sequence[Message]) -> int:
        """Return the prompt tokens of the request.

        Raises:
            InputError: Mistral's chat format has no place for this order of turns.
        """
        from mistral_common.exceptions import MistralCommonException
        from mistral_common.protocol.instruct.request import ChatCompletionRequest

        request: Any = ChatCompletionRequest.model_validate({"messages": _payload(messages)})
        try:
            return len(self._chat.encode_chat_completion(request).tokens)
        except MistralCommonException as error:
            raise _refused(self.name, error) from error


class HuggingFaceCounter:
    """Counts a request as vLLM does: the chat template is rendered, then its text is tokenised.

    Control tokens written inside a message are parsed as such, as the server parses them.

    Attributes:
        name: `"huggingface:ORG/NAME"`.
        exact: always true.
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
        self.exact: Final = True
        added = (token.content for token in self._tokenizer.added_tokens_decoder.values())
        self.control_tokens: Final = _longest_first({text for text in added if text.strip()})

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens."""
        return len(self._text.encode(well_formed(text), add_special_tokens=False))

    def count_messages(self, messages: Sequence[Message]) -> int:
        """Return the prompt tokens of the request, template and generation prompt included.

        Raises:
            InputError: the chat template refuses this order of turns.
            TokenizerUnavailable: the tokenizer has no chat template.
        """
        from jinja2 import TemplateError

        if self._tokenizer.chat_template is None:
            raise TokenizerUnavailable(
                f"{self.name} has no chat template, so it counts texts but not requests",
                hint="name the tokenizer of the instruction-tuned model",
            )
        render = self._tokenizer.apply_chat_template
        try:
            prompt = render(_payload(messages), tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise _refused(self.name, error) from error
        return self.count(prompt)


class TiktokenCounter:
    """Counts by OpenAI's encodings and its documented overhead for each message and the reply.

    Exact for the models that OpenAI's cookbook names; for a model outside that list, or one that
    adds hidden reasoning or tool text, wrap it in an `EstimatedCounter`.

    Attributes:
        name: `"tiktoken:ENCODING"`.
        exact: always true.
        control_tokens: the special tokens of the encoding, longest first; OpenAI's servers read
            them in a message as plain text, and so do the counts.
    """

    def __init__(
        self,
        encoding: str,
        *,
        message_tokens: int = OPENAI_MESSAGE_TOKENS,
        reply_tokens: int = OPENAI_REPLY_TOKENS,
    ) -> None:
        """Load an encoding from tiktoken's cache, LlamaIndex's copy of it, or OpenAI.

        Args:
            encoding: `o200k_base`, `cl100k_base` or another name that tiktoken knows.
            message_tokens: what the server adds to each message's role and content.
            reply_tokens: what the server adds once, to open the reply.

        Raises:
            DependencyMissing: `tiktoken` is not installed.
            TokenizerUnavailable: the encoding is unknown, or neither cached nor downloadable.
        """
        self._encoding: Final = load_tiktoken(encoding)
        self.name: Final = f"tiktoken:{encoding}"
        self.exact: Final = True
        self.control_tokens: Final = _longest_first(self._encoding.special_tokens_set)
        self._message_tokens: Final = message_tokens
        self._reply_tokens: Final = reply_tokens

    def count(self, text: str) -> int:
        """Return the tokens of a bare text; special tokens in it count as plain text."""
        return len(self._encoding.encode(well_formed(text), disallowed_special=()))

    def count_messages(self, messages: Sequence[Message]) -> int:
        """Return the prompt tokens of the request, overheads included."""
        texts = sum(self.count(message.role) + self.count(message.content) for message in messages)
        return texts + len(messages) * self._message_tokens + self._reply_tokens


class EstimatedCounter:
    """Counts by another model's tokenizer, raised by a factor, and says that it is an estimate.

    For providers that publish no tokenizer. Every count is rounded up.

    Attributes:
        name: `"estimated:BASE"`, with the factor after `estimated` unless it is the default one.
        exact: always false.
        control_tokens: those of the base counter.
    """

    def __init__(self, base: TokenCounter, *, factor: float = DEFAULT_ESTIMATE_FACTOR) -> None:
        """Wrap a counter.

        Args:
            base: the counter whose counts are raised.
            factor: what to multiply them by; at least 1, because an estimate must not overflow.

        Raises:
            ConfigurationError: the factor is below 1 or no finite number.
        """
        if not (math.isfinite(factor) and factor >= 1):
            raise ConfigurationError(
                f"an estimate needs a finite factor of at least 1, not {factor}",
                hint="take the largest ratio of the provider's usage to these counts",
            )
        own = "estimated" if factor == DEFAULT_ESTIMATE_FACTOR else f"estimated:{factor}"
        self.name: Final = f"{own}:{base.name}"
        self.exact: Final = False
        self.control_tokens: Final = base.control_tokens
        self._base: Final = base
        # Of the decimal digits: 10 tokens times 1.1 are 11, while the float product is above 11.
        self._factor: Final = Fraction(str(factor))

    def count(self, text: str) -> int:
        """Return the estimated tokens of a bare text."""
        return math.ceil(self._base.count(text) * self._factor)

    def count_messages(self, messages: Sequence[Message]) -> int:
        """Return the estimated prompt tokens of the request."""
        return math.ceil(self._base.count_messages(messages) * self._factor)


def load_counter(name: str, *, folders: Sequence[Path] = ()) -> TokenCounter:
    """Return the counter that a `"provider:model"` string names.

    Args:
        name: `mistral:v3`, `huggingface:ORG/NAME`, `tiktoken:o200k_base`,
            `estimated:tiktoken:o200k_base` or, with a factor, `estimated:1.4:mistral:v3`.
        folders: model folders in which a Hugging Face tokenizer is looked for first.

    Raises:
        ConfigurationError: the string names no counter.
        DependencyMissing: the tokenizer's library is not installed.
        TokenizerUnavailable: its files cannot be found or read.
    """
    provider, _, model = name.partition(":")
    if provider not in _PROVIDERS:
        raise unknown_name(f"tokenizer {name!r}", provider, _PROVIDERS)
    return _PROVIDERS[provider](model, folders)


def _load_estimated(model: str, folders: Sequence[Path]) -> TokenCounter:
    factor, _, base = model.partition(":")
    if factor.replace(".", "", 1).isdecimal():
        return EstimatedCounter(load_counter(base, folders=folders), factor=float(factor))
    return EstimatedCounter(load_counter(model, folders=folders))


_PROVIDERS: dict[str, Callable[[str, Sequence[Path]], TokenCounter]] = {
    "mistral": lambda model, _folders: MistralCounter(model),
    "huggingface": lambda model, folders: HuggingFaceCounter(model, folders=folders),
    "tiktoken": lambda model, _folders: TiktokenCounter(model),
    "estimated": _load_estimated,
}


def _payload(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": well_formed(message.content)} for message in messages]


def _longest_first(texts: Collection[str]) -> tuple[str, ...]:
    """Order texts so that one pattern of alternatives, tried in order, finds the longest."""
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def _refused(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name} has no form for this conversation: {error}",
        hint="let user and assistant turns alternate, and end with a user turn",
        param="messages",
    )
