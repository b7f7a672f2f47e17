"""Where counts add up: proven by structure, and shown here with any text for every tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.counters import EstimatedCounter, load_counter
from chunking.counters.seams import adds_up, local_pattern, local_tokenizer, local_vocabulary
from chunking.document import Chunk, Document
from chunking.errors import DependencyMissing, TokenizerUnavailable
from chunking.piece_counts import PieceCounter
from chunking.pieces import BETWEEN_PIECES, piece_of
from chunking.tokens import TokenCounter
from scripts.vllm_server import DEFAULT_MODELS
from tests.pair_counter import PairCounter
from tests.unit.serve.context.cases import texts

ADDITIVE = (
    "mistral:v1",
    "mistral:v2",
    "mistral:v3",
    "mistral:tekken",
    "tiktoken:cl100k_base",
    "tiktoken:o200k_base",
    # Converted for the vLLM server, and fetched by `make demo LLM=1`.
    pytest.param("huggingface:HuggingFaceTB/SmolLM2-135M-Instruct", marks=pytest.mark.vllm),
    pytest.param("huggingface:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", marks=pytest.mark.llm),
)
ANY_CODE_POINTS = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=30).map("".join)
TEXT = ANY_CODE_POINTS | texts(pieces=12, repeats=20)
BREAKS = st.text("\n\r\t [Q0\u00a0\u2028.'/\u0301", max_size=8)
MARKER = st.integers(1, 99_999)


@cache
def loaded(name: str) -> TokenCounter | None:
    try:
        return load_counter(name, folders=[DEFAULT_MODELS])
    except (DependencyMissing, TokenizerUnavailable):
        return None


@pytest.fixture(scope="module", params=ADDITIVE)
def counter(request: pytest.FixtureRequest) -> TokenCounter:
    found = loaded(request.param)
    if found is None:
        pytest.skip(f"{request.param} is neither installed nor under {DEFAULT_MODELS}")
    return found


def test_the_counter_says_that_its_counts_add_up(counter: TokenCounter) -> None:
    assert counter.additive


@given(
    left=st.builds("{}{}".format, TEXT, BREAKS),
    right=st.builds("\n{}{}{}".format, st.sampled_from("[QAz09"), BREAKS, TEXT),
)
def test_counts_add_up_at_a_line_break_before_a_bracket_a_letter_or_a_digit(
    counter: TokenCounter, left: str, right: str
) -> None:
    parts = counter.count(f"{left}\n[") + counter.count(right) - counter.count("\n[")
    assert counter.count(left + right) == parts


@settings(max_examples=50)
@given(marker=MARKER, text=TEXT, other=TEXT)
def test_the_digits_of_a_marker_cost_the_same_before_any_text(
    counter: TokenCounter, marker: int, text: str, other: str
) -> None:
    costs = {
        counter.count(f"\n[{marker}] {each}") - counter.count(f"\n[0] {each}")
        for each in (text, other)
    }
    assert len(costs) == 1


@settings(max_examples=50)
@given(
    bodies=st.lists(TEXT.filter(lambda text: bool(text.strip())), min_size=1, max_size=14),
    title=TEXT,
    question=TEXT,
)
def test_the_pieces_of_a_prompt_add_up_to_its_count(
    counter: TokenCounter, bodies: list[str], title: str, question: str
) -> None:
    documents = [Document(f"d{n}", body, title, "s") for n, body in enumerate(bodies)]
    chunks = [
        Chunk.of(each, start=0, end=len(each.text), path=(), position=0) for each in documents
    ]
    pieces = [piece_of(chunk, n, counter.control_tokens) for n, chunk in enumerate(chunks, start=1)]
    ending = f"Question: {question}"
    whole = BETWEEN_PIECES.join(("Sources:", *pieces, ending))
    frame = counter.count(BETWEEN_PIECES.join(("Sources:", ending)))
    added = sum(
        PieceCounter(counter).count(chunk) + PieceCounter(counter).marker(n)
        for n, chunk in enumerate(chunks, start=1)
    )
    assert counter.count(whole) == frame + added


@settings(max_examples=50)
@given(
    first=st.builds("{}{}".format, st.sampled_from(["Area", "7", "é"]), TEXT),
    second=st.builds("{}{}".format, st.sampled_from(["Terrain", "0", "[", "…"]), TEXT),
    gap=st.sampled_from(["\n", "\n\n", " \n", "\n \n", " "]),
    title=TEXT,
)
def test_neighbours_joined_under_one_header_cost_what_the_whole_piece_costs(
    counter: TokenCounter, first: str, second: str, gap: str, title: str
) -> None:
    document = Document("d", f"{first}{gap}{second}", title, "s")
    start = len(first) + len(gap)
    earlier = Chunk.of(document, start=0, end=len(first), path=(), position=0)
    later = Chunk.of(document, start=start, end=len(document.text), path=(), position=1)
    both = Chunk.of(document, start=0, end=len(document.text), path=(), position=0)
    pieces = PieceCounter(counter)

    difference = pieces.join(earlier, gap, later)

    if difference is not None:
        counts = pieces.count(earlier) + pieces.count(later)
        assert pieces.count(both) == counts + difference
    elif gap.endswith("\n"):
        lines = (first.rpartition("\n")[2], second)
        assert not all(line[:1].isascii() and line[:1].isalnum() for line in lines)


# --- where they do not


def broken(count: Callable[[str], int], before: str = "a") -> bool:
    return count(f"{before}\n[b") != count(f"{before}\n[") + count("\n[b") - count("\n[")


def bpe(vocabulary: list[str], merges: list[tuple[str, str]]) -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    entries = {entry: number for number, entry in enumerate(vocabulary)}
    return tokenizers.Tokenizer(tokenizers.models.BPE(vocab=entries, merges=merges))


def counted_by(tokenizer: Any) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def test_a_vocabulary_with_the_border_in_an_entry_is_not_additive() -> None:
    letters = ["\n", "[", "]", *ascii_letters, *digits]
    apart = bpe(letters, [])
    merges = [("a", "\n"), ("\n", "["), ("\n[", "b")]
    across = bpe([*letters, "a\n", "\n[", "\n[b"], merges)
    assert local_tokenizer(apart)
    assert not broken(counted_by(apart))
    assert broken(counted_by(across))
    assert not local_tokenizer(across)


def test_an_added_token_over_the_border_is_not_additive() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = bpe(["\n", "[", "]", *ascii_letters, *digits], [])
    assert local_tokenizer(tokenizer)
    tokenizer.add_tokens([tokenizers.AddedToken("a\n[b", normalized=False)])
    assert broken(counted_by(tokenizer))
    assert not local_tokenizer(tokenizer)


def test_an_added_token_that_swallows_white_space_before_it_is_not_additive() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = bpe(["\n", "[", "]", *ascii_letters, *digits], [])
    tokenizer.add_tokens([tokenizers.AddedToken("[b", lstrip=True, normalized=False)])
    assert broken(counted_by(tokenizer), before="a\n")
    assert not local_tokenizer(tokenizer)


def test_a_marker_may_not_share_a_token_with_its_brackets() -> None:
    known = ["[", "]", *ascii_letters, *digits]
    assert local_vocabulary([*known, "12", "[REFERENCE_DOC_1]"])
    for crossing in ("[1", "1]", "Ċ[", "\nA", "Ċ7"):
        assert not local_vocabulary([*known, crossing])


def test_a_character_that_the_vocabulary_lacks_might_be_joined_with_others() -> None:
    assert not local_vocabulary(["[", "]", *ascii_letters])


@pytest.mark.parametrize(
    "pattern",
    [
        r"\s?[!-/:-~]+|\s+",
        r"\s*\S+|\s+",
        r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+",
        r"(?:\n\[)|\s+",
        "",
    ],
)
def test_a_pattern_that_is_not_known_to_end_a_part_at_the_border_is_not_claimed(
    pattern: str,
) -> None:
    assert not local_pattern(pattern)


def test_the_fake_with_merges_across_lines_says_that_its_counts_do_not_add_up() -> None:
    fake = PairCounter()
    assert not fake.additive
    assert not adds_up(fake.count)


def test_an_estimate_adds_up_as_its_base_does() -> None:
    v3 = load_counter("mistral:v3")
    assert EstimatedCounter(v3).additive
    assert not EstimatedCounter(PairCounter()).additive
    assert EstimatedCounter(v3).base is v3
    assert EstimatedCounter(v3).identity == v3.identity == "mistral:v3"
