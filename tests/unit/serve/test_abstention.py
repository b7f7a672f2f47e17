from __future__ import annotations

import pytest

from serve.abstention import abstains, is_empty


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[1]",
        "The sources do not say.",
        "The provided sources do not contain any information about 2018 [1].",
        "The inflation rate of Bangladesh in 2018 is not provided in the sources.",
        "There is no information about the labor force of Bouvet Island.",
        "There isn't enough information.",
        "I cannot answer this.",
        "I don\u2019t know.",
        "Based on the sources, I am unable to determine that. It may be 5.",
        "Unknown.",
        "Based on the sources:\n\nThe sources do not state it.",
        "**Not specified**",
        "None of the sources mention it.",
        "No language model is configured, and no passage of the sources shares a word.",
        "The sources do not say, but it is 5.",
    ],
)
def test_an_answer_that_says_that_it_cannot_be_answered_declines(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "It is 5.",
        "0 km (landlocked)",
        "Bolivia does not have a coastline.",
        "There are no airports.",
        "Saudi Arabia is not a member of it.",
        "It is 5 [1]. The sources say nothing of other years.",
        "No language model is configured. The sources say, word for word:\n- Area: 5 sq km [1]",
        "The data show 5.",
    ],
)
def test_an_answer_with_a_negative_fact_does_not_decline(answer: str) -> None:
    assert not abstains(answer)


def test_only_an_answer_without_text_is_empty() -> None:
    assert all(is_empty(answer) for answer in ("", " \n", "[1][2]", "<think>5?</think> **"))
    assert not is_empty("The sources do not say.")
