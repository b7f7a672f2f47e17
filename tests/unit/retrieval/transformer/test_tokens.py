"""Ids put together from known words are those of the tokenizer, for every text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from retrieval.transformer import tokens
from retrieval.transformer.tokens import (
    Tokens,
    WholeTokens,
    WordTokens,
    splits_at_spaces,
    tokens_of,
)

WORDS = (
    "the population of chad grows 1 2 , . [ ] : > ' e i a b ##s ##e ##1 ##2 東 京 ##a ##b".split()
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LIMIT = 12
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(
                [*WORDS, *SPECIAL, " ", "  ", "\t", "\x0b", "\x85", "\x1c", "\u0301", "É"]
            ),
            max_size=30,
        ).map(" ".join),
        st.text(st.characters(categories=["Zs", "Zl", "Cc", "Cf", "Mn", "Lo", "Cs"]), max_size=20),
    ),
    max_size=8,
)


def make_tokenizer() -> Any:
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(SPECIAL)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


TOKENIZER = make_tokenizer()
BY_WORD = WordTokens(TOKENIZER, limit=LIMIT)
WHOLE = WholeTokens(TOKENIZER, limit=LIMIT)


def rows(kind: Tokens, texts: list[str]) -> list[list[int]]:
    return [row.tolist() for row in kind.ids(texts)]


@given(TEXTS)
def test_words_give_what_whole_texts_give(texts: list[str]) -> None:
    assert rows(BY_WORD, texts) == rows(WHOLE, texts)
    assert BY_WORD.count(texts) == WHOLE.count(texts)


@given(TEXTS)
def test_ids_are_cut_to_the_limit_and_counts_are_not(texts: list[str]) -> None:
    for row, count in zip(WHOLE.ids(texts), WHOLE.count(texts), strict=True):
        assert len(row) == min(count, LIMIT)
        assert row[0] == TOKENIZER.token_to_id("[CLS]")
        assert row[-1] == TOKENIZER.token_to_id("[SEP]")


def test_what_the_tokenizer_cut_and_padded_before_does_not_matter() -> None:
    other = make_tokenizer()
    other.enable_truncation(3)
    other.enable_padding(length=40)
    for kind in (WordTokens(other, limit=LIMIT), WholeTokens(other, limit=LIMIT)):
        assert rows(kind, ["the population of chad"]) == rows(WHOLE, ["the population of chad"])
    assert other.padding is not None


def test_known_words_are_forgotten_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "_KEPT_CHARACTERS", 100)
    kind = WordTokens(TOKENIZER, limit=LIMIT)
    for number in range(300):
        texts = [f"population {number} {number + 1} of chad"]
        assert rows(kind, texts) == rows(WHOLE, texts)
        assert sum(map(len, kind._known)) < 200


def test_threads_share_known_words_also_while_they_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "_KEPT_CHARACTERS", 20)
    kind = WordTokens(TOKENIZER, limit=LIMIT)
    texts = [[f"the {number} of chad {number % 7}"] for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: rows(kind, text), texts))
    assert found == [rows(WHOLE, text) for text in texts]


def test_a_tokenizer_is_used_by_word_only_where_spaces_part_its_tokens() -> None:
    assert isinstance(tokens_of(make_tokenizer(), limit=LIMIT), WordTokens)
    metaspace = make_tokenizer()
    metaspace.pre_tokenizer = pre_tokenizers.Metaspace()
    bare = make_tokenizer()
    bare.normalizer = None
    bare.pre_tokenizer = None
    spaced = make_tokenizer()
    spaced.add_tokens([AddedToken("of chad")])
    sequence = make_tokenizer()
    sequence.normalizer = normalizers.Sequence([normalizers.BertNormalizer()])
    for other in (metaspace, bare, spaced, sequence):
        assert not splits_at_spaces(other)
        assert isinstance(tokens_of(other, limit=LIMIT), WholeTokens)


def test_an_added_token_with_a_space_is_found_in_whole_texts() -> None:
    spaced = make_tokenizer()
    spaced.add_tokens([AddedToken("of chad")])
    [ids] = tokens_of(spaced, limit=LIMIT).ids(["population of chad"])
    assert spaced.token_to_id("of chad") in ids.tolist()
