"""Counters against the tokenizers they wrap, with every kind of text that a request can hold."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunking import counters, tokenizer_sources
from chunking.counters import (
    EstimatedCounter,
    HuggingFaceCounter,
    MistralCounter,
    TiktokenCounter,
    load_counter,
    well_formed,
)
from chunking.errors import (
    ConfigurationError,
    DependencyMissing,
    InputError,
    TokenizerUnavailable,
)
from chunking.tokens import Message, Role, TokenCounter, Tool

CONVERSATIONS: dict[str, list[tuple[Role, str]]] = {
    "a question": [("user", "What is the capital of Peru?")],
    "a system text": [("system", "Answer briefly."), ("user", "Ελλάδα? 東京? 🙂")],
    "a history": [("user", "Hi"), ("assistant", "Hello!"), ("user", "12,345.67 km²?")],
    "two user turns": [("user", "First."), ("user", "Second.")],
    "control tokens": [("user", "[INST] </s> <s> [/INST] <|im_start|>system <|endoftext|>")],
    "code": [("user", "def f(x):\n\treturn {x: [1, 2]}\n\n\n    # done")],
}
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and not loop.first %}"
    "{{ raise_exception('the system message comes first') }}{% endif %}"
    "{{ '<|turn|>' + message['role'] + '\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}"
)
ANY_TEXT = st.text(max_size=40)
ANY_CODE_POINTS = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=30).map("".join)


def messages_of(conversation: list[tuple[Role, str]]) -> list[Message]:
    return [Message(role, content) for role, content in conversation]


@pytest.fixture(scope="module", params=["v1", "v2", "v3", "tekken"])
def mistral(request: pytest.FixtureRequest) -> MistralCounter:
    return MistralCounter(request.param)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer of a few merges, with control tokens and a chat template."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    rust = tokenizers.Tokenizer(tokenizers.models.BPE())
    rust.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|turn|>", "<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rust.train_from_iterator(["the capital of the country is the city"] * 4, trainer)
    rust.add_tokens(["<tool>", "   "])
    rust.enable_truncation(8)
    rust.enable_padding(length=64, pad_token="<|end|>")
    folder: Path = tmp_path_factory.mktemp("models") / "Tiny-Instruct"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=rust, eos_token="<|end|>", chat_template=TEMPLATE
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def huggingface(tokenizer_folder: Path) -> HuggingFaceCounter:
    return HuggingFaceCounter("example/Tiny-Instruct", folders=[tokenizer_folder.parent])


@pytest.fixture(scope="module")
def openai() -> TiktokenCounter:
    try:
        return TiktokenCounter("o200k_base")
    except (DependencyMissing, TokenizerUnavailable) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["mistral:v3", "mistral:tekken", "huggingface", "tiktoken"])
def counter(request: pytest.FixtureRequest) -> TokenCounter:
    fixtures = {"huggingface": "huggingface", "tiktoken": "openai"}
    if request.param in fixtures:
        found: TokenCounter = request.getfixturevalue(fixtures[request.param])
        return found
    return load_counter(request.param)


# --- Mistral


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_mistral_counts_a_request_as_mistral_common_encodes_it(
    mistral: MistralCounter, conversation: list[tuple[Role, str]]
) -> None:
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    version = mistral.name.removeprefix("mistral:")
    oracle: Any = (
        MistralTokenizer.v3(is_tekken=True)
        if version == "tekken"
        else getattr(MistralTokenizer, version)()
    )
    request: Any = ChatCompletionRequest.from_openai(
        [{"role": role, "content": content} for role, content in conversation]
    )
    expected = len(oracle.encode_chat_completion(request).tokens)
    assert mistral.count_messages(messages_of(conversation)) == expected


def test_mistral_names_its_turn_markers_and_sentence_ends_as_control_tokens(
    mistral: MistralCounter,
) -> None:
    assert {"<s>", "</s>", "[INST]", "[/INST]"} <= set(mistral.control_tokens)


@pytest.mark.parametrize("version", ["v2", "v3", "tekken"])
def test_mistral_names_its_tool_markers_as_control_tokens(version: str) -> None:
    assert {"[AVAILABLE_TOOLS]", "[TOOL_CALLS]"} <= set(MistralCounter(version).control_tokens)


@pytest.mark.parametrize(
    "conversation",
    [[], [("user", "a"), ("assistant", "b")], [("user", "a"), ("assistant", ""), ("user", "b")]],
    ids=["empty", "ending with an answer", "with an empty answer"],
)
def test_mistral_refuses_a_conversation_that_its_format_cannot_hold(
    mistral: MistralCounter, conversation: list[tuple[Role, str]]
) -> None:
    with pytest.raises(InputError, match=mistral.name) as refusal:
        mistral.count_messages(messages_of(conversation))
    assert refusal.value.param == "messages"


# --- Hugging Face


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_hugging_face_counts_the_rendered_template(
    huggingface: HuggingFaceCounter, conversation: list[tuple[Role, str]]
) -> None:
    rendered = "".join(f"<|turn|>{role}\n{content}<|end|>\n" for role, content in conversation)
    expected = huggingface.count(rendered + "<|turn|>assistant\n")
    assert huggingface.count_messages(messages_of(conversation)) == expected


def test_hugging_face_adds_no_special_token_to_a_text(huggingface: HuggingFaceCounter) -> None:
    assert huggingface.count("") == 0
    assert huggingface.count("<|turn|>") == 1


def test_hugging_face_counts_past_the_truncation_and_padding_of_the_stored_tokenizer(
    huggingface: HuggingFaceCounter,
) -> None:
    assert huggingface.count("q") == 1
    assert huggingface.count("qz" * 500) == 1000


def test_hugging_face_names_every_added_token_but_white_space(
    huggingface: HuggingFaceCounter,
) -> None:
    assert huggingface.control_tokens == ("<|turn|>", "<|end|>", "<tool>")


def test_hugging_face_counts_control_tokens_in_a_message_as_the_server_parses_them(
    huggingface: HuggingFaceCounter,
) -> None:
    plain = huggingface.count_messages([Message("user", "")])
    assert huggingface.count_messages([Message("user", "<|end|><tool>")]) == plain + 2


def test_hugging_face_refuses_what_the_template_refuses(huggingface: HuggingFaceCounter) -> None:
    with pytest.raises(InputError, match="the system message comes first"):
        huggingface.count_messages([Message("user", "a"), Message("system", "b")])


def test_hugging_face_without_a_template_counts_texts_only(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((tokenizer_folder / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    bare = HuggingFaceCounter(tmp_path)
    assert bare.count("q") == 1
    with pytest.raises(TokenizerUnavailable, match="no chat template"):
        bare.count_messages([Message("user", "q")])


def test_hugging_face_names_the_tokenizer_and_not_the_folder(
    huggingface: HuggingFaceCounter,
) -> None:
    assert huggingface.name == "huggingface:example/Tiny-Instruct"


def test_hugging_face_finds_a_folder_below_its_organisation(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "Small").symlink_to(tokenizer_folder)
    found = load_counter("huggingface:example/Small", folders=[tmp_path / "absent", tmp_path])
    assert found.name == "huggingface:example/Small"


def test_hugging_face_reads_a_broken_folder_and_asks_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(name: str) -> None:
        pytest.fail(f"asked the hub for {name}")

    monkeypatch.setattr(tokenizer_sources, "_from_cache_or_hub", forbidden)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerUnavailable, match=str(tmp_path)):
        HuggingFaceCounter(tmp_path)


def test_hugging_face_says_which_places_were_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str) -> None:
        raise ConnectionError(f"no route to {name}\nmany more lines")

    monkeypatch.setattr(tokenizer_sources, "_from_cache_or_hub", unreachable)
    with pytest.raises(TokenizerUnavailable) as missing:
        load_counter("huggingface:example/Absent", folders=[tmp_path])
    for place in (tmp_path / "Absent", tmp_path / "example/Absent", "cache and hub", "no route"):
        assert str(place) in missing.value.message
    assert "many more lines" not in missing.value.message
    assert "make vllm" in missing.value.hint
    assert missing.value.exit_code == 4


def test_threads_share_a_hugging_face_counter(huggingface: HuggingFaceCounter) -> None:
    conversation = messages_of(CONVERSATIONS["a history"])
    expected = huggingface.count_messages(conversation)
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: huggingface.count_messages(conversation), range(400)))
    assert set(counts) == {expected}


# --- OpenAI


def test_tiktoken_adds_the_documented_overheads(openai: TiktokenCounter) -> None:
    conversation = [Message("system", "Be brief."), Message("user", "Hello!")]
    texts = sum(
        openai.count(message.role) + openai.count(message.content) for message in conversation
    )
    assert openai.count_messages(conversation) == 3 + texts + 3 + 3


def test_tiktoken_reads_special_tokens_in_a_document_as_plain_text(openai: TiktokenCounter) -> None:
    assert "<|endoftext|>" in openai.control_tokens
    assert openai.count("<|endoftext|>") > 1


def test_tiktoken_reads_the_copy_in_llama_index_and_leaves_the_environment_as_it_was(
    openai: TiktokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert openai.exact
    folder = tokenizer_sources._llama_index_folder()
    if folder is None:
        pytest.skip("llama-index-core is not installed")
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    with tokenizer_sources._llama_index_cache("cl100k_base"):
        assert os.environ["TIKTOKEN_CACHE_DIR"] == str(folder)
    assert "TIKTOKEN_CACHE_DIR" not in os.environ


def test_tiktoken_keeps_to_a_cache_that_somebody_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with tokenizer_sources._llama_index_cache("cl100k_base"):
        assert os.environ["TIKTOKEN_CACHE_DIR"] == str(tmp_path)


def test_tiktoken_without_its_files_says_how_to_get_them() -> None:
    pytest.importorskip("tiktoken")
    with pytest.raises(TokenizerUnavailable, match="no encoding 'nonesuch'") as missing:
        TiktokenCounter("nonesuch")
    assert "TIKTOKEN_CACHE_DIR" in missing.value.hint


# --- estimates


class TenTokens:
    """A counter whose every text has ten tokens."""

    name = "ten"
    identity = "ten@1"
    exact = True
    exact_tools = True
    factor = Fraction(1)
    additive = False
    control_tokens = ("<x>",)

    @property
    def base(self) -> TokenCounter:
        return self

    def count(self, text: str) -> int:
        return 10

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        return 10 + len(tools)


@pytest.mark.parametrize(("factor", "expected"), [(1, 10), (1.1, 11), (1.11, 12), (1.25, 13)])
def test_an_estimate_is_rounded_up_from_the_decimal_factor(factor: float, expected: int) -> None:
    estimate = EstimatedCounter(TenTokens(), factor=factor)
    assert estimate.count("text") == expected
    assert estimate.count_messages([]) == expected


def test_an_estimate_says_that_it_is_one() -> None:
    estimate = EstimatedCounter(TenTokens())
    assert not estimate.exact
    assert estimate.name == "estimated:ten"
    assert estimate.control_tokens == ("<x>",)


@pytest.mark.parametrize("factor", [0.99, -1, math.inf, math.nan])
def test_an_estimate_below_its_base_is_refused(factor: float) -> None:
    with pytest.raises(ConfigurationError, match="factor of at least 1"):
        EstimatedCounter(TenTokens(), factor=factor)


# --- names


@pytest.mark.parametrize(
    "name", ["mistral:v3", "mistral:tekken", "estimated:mistral:v1", "estimated:1.4:mistral:v1"]
)
def test_a_counter_is_loaded_by_the_name_that_it_reports(name: str) -> None:
    loaded = load_counter(name)
    assert loaded.name == name
    assert loaded.exact is not name.startswith("estimated")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mistrel:v3", "did you mean 'mistral'?"),
        ("mistral:v33", "did you mean 'v3'?"),
        ("", "write it like"),
        ("estimated:", "write it like"),
        ("estimated:1.4", "write it like"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as unknown:
        load_counter(name)
    assert hint in unknown.value.hint


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("mistral:v3", "sentencepiece", "mistral-common[sentencepiece]"),
        ("huggingface:example/Tiny", "transformers", "windowfit[embed]"),
        ("tiktoken:o200k_base", "tiktoken", "windowfit[server]"),
    ],
)
def test_a_missing_package_is_answered_with_its_install_command(
    name: str, module: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DependencyMissing, match=module) as missing:
        load_counter(name)
    assert install in missing.value.hint


def test_the_module_imports_no_tokenizer_library() -> None:
    code = (
        "import sys, chunking.counters\n"
        "heavy = {'transformers', 'tiktoken', 'mistral_common', 'tokenizers', 'torch'}\n"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    root = Path(counters.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0


# --- any text, with every counter


@given(text=ANY_TEXT)
def test_text_without_surrogates_is_well_formed_as_it_is(text: str) -> None:
    assert well_formed(text) is text  # hypothesis' text() holds no surrogates


@given(text=ANY_CODE_POINTS)
def test_well_formed_text_can_be_sent_and_changes_no_further(text: str) -> None:
    once = well_formed(text)
    assert once.encode().decode() == once
    assert well_formed(once) == once


def test_well_formed_joins_pairs_and_replaces_each_lone_surrogate() -> None:
    assert well_formed("a\ud83d\ude00b\ud800\udc00") == "a😀b\U00010000"
    assert well_formed("\udc00\ud800x\ud800") == "\ufffd\ufffdx\ufffd"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=ANY_CODE_POINTS | ANY_TEXT)
def test_any_text_is_counted_as_its_well_formed_self(counter: TokenCounter, text: str) -> None:
    sent = well_formed(text)
    assert counter.count(text) == counter.count(sent) >= 0
    assert counter.count_messages([Message("user", text)]) == counter.count_messages(
        [Message("user", sent)]
    )


@settings(deadline=None, max_examples=30)
@given(text=ANY_TEXT)
def test_a_request_has_more_tokens_than_none_of_its_text(counter: TokenCounter, text: str) -> None:
    empty = counter.count_messages([Message("user", "")])
    assert counter.count_messages([Message("user", text + " word")]) > empty


def test_control_tokens_are_ordered_so_that_the_longest_is_found_first(
    counter: TokenCounter,
) -> None:
    lengths = [len(token) for token in counter.control_tokens]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(counter.control_tokens)) == len(lengths)
