"""The examples of OpenAI's cookbook, with the prompt tokens that OpenAI's API answered.

From "How to count tokens with tiktoken", sections 6 and 7:
https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chunking.tokens import Message, TokenCounter, Tool

JARGON: Final = (
    "You are a helpful, pattern-following assistant that translates corporate jargon into plain "
    "English.",
    "New synergies will help drive top-line growth.",
    "Things working well together will increase revenue.",
    "Let's circle back when we have more bandwidth to touch base on opportunities for increased "
    "leverage.",
    "Let's talk later when we're less busy about how to do better.",
    "This late pivot means we don't have time to boil the ocean for the client deliverable.",
)
JARGON_TOKENS: Final[Mapping[str, int]] = {"cl100k_base": 129, "o200k_base": 124}
NAMES: Final = ("example_user", "example_assistant", "example_user", "example_assistant")
"""Names of the four middle turns; our messages carry none, so what names cost is added."""

WEATHER_QUESTION: Final = (
    Message(
        "system", "You are a helpful assistant that can answer to questions about the weather."
    ),
    Message("user", "What's the weather like in San Francisco?"),
)
WEATHER_TOOL: Final = Tool(
    "get_current_weather",
    "Get the current weather in a given location",
    {
        "type": "object",
        "properties": {
            "location": {
                "type": "string",
                "description": "The city and state, e.g. San Francisco, CA",
            },
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
)
WEATHER_TOKENS: Final[Mapping[str, int]] = {"cl100k_base": 105, "o200k_base": 101}


def cookbook_differences(counter: TokenCounter) -> list[int]:
    """Return our count minus the API's for each example, for a counter of one of its encodings."""
    encoding = counter.name.partition(":")[2]
    turns = [Message("system", text) for text in JARGON[:-1]]
    turns.append(Message("user", JARGON[-1]))
    names = sum(counter.count(name) + 1 for name in NAMES)  # section 6: a name costs one more
    return [
        counter.count_messages(turns) + names - JARGON_TOKENS[encoding],
        counter.count_messages(WEATHER_QUESTION, tools=[WEATHER_TOOL]) - WEATHER_TOKENS[encoding],
    ]
