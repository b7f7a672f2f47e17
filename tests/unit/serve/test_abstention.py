import pytest

from serve.abstention import abstains, first_sentence, without_citations


@pytest.mark.parametrize(
    "answer",
    [
        "The sources do not contain the population of Akrotiri.",
        "The provided documents do not give a figure for 2018 [1].",
        "It is not stated in the sources.",
        "No information is given about that.",
        "None of the sources mentions it.",
        "I do not know.",
        "Unable to determine this from the context.",
        "Unknown",
        " ",
    ],
)
def test_an_answer_that_declines_is_seen(answer):
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "It is 5 km [1].",
        "5",
        "It is 5. The sources say nothing of other years.",
        "The country has no railways.",
    ],
)
def test_an_answer_that_answers_does_not_decline(answer):
    assert not abstains(answer)


def test_citations_and_bold_letters_are_taken_out():
    assert without_citations("**Brazil** [1] and Peru [2, 3].") == "Brazil and Peru."


def test_the_first_sentence_ends_with_its_line():
    assert first_sentence("One\nTwo. Three.").strip() == "One"
