"""Counts messages with LiteLLM; started in its environment by `fuzz_oracles`.

    python -m scripts.prove.fuzz_litellm ENCODING MODEL FILE

FILE holds the messages of one request a line, as JSON; the last line printed is the counts.

LiteLLM has the formula for messages, tiktoken encodes: left to itself, LiteLLM cuts a text every
1,024 characters and adds up the tokens of the parts, which are not those of the text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final

from chunking.tokenizer_sources import load_tiktoken


class WholeTexts:
    """A tiktoken encoding with the face of a `tokenizers.Tokenizer`, as LiteLLM calls it."""

    def __init__(self, encoding: str) -> None:
        self._encoding: Final[Any] = load_tiktoken(encoding)

    def encode_batch_fast(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text; special tokens in it are plain text."""
        return [self._encoding.encode(text, disallowed_special=()) for text in texts]


def main(encoding: str, model: str, file: Path) -> None:
    """Print the counts of the requests in a file."""
    tokenizer = {"type": "huggingface_tokenizer", "tokenizer": WholeTexts(encoding)}
    count = resolve_name("litellm:token_counter")
    with file.open(encoding="utf-8") as lines:
        counts = [
            count(model=model, messages=json.loads(line), custom_tokenizer=tokenizer)
            for line in lines
        ]
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
