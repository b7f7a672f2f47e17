"""Counts messages with LiteLLM; started in its environment by `fuzz_oracles`.

    python -m scripts.prove.fuzz_litellm MODEL FILE

FILE holds the messages of one request a line, as JSON; the last line printed is the counts.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from pkgutil import resolve_name

# By default LiteLLM cuts a text every few thousand characters and sums the tokens of the pieces,
# and guesses those of a long text from samples of it: too few or too many by some tokens.
_EXACT = {
    "TIKTOKEN_ENCODE_CHUNK_SIZE_CHARS": "100000000",
    "TOKEN_COUNTER_MAX_EXACT_CHARS": "100000000",
}


def main(model: str, file: Path) -> None:
    """Print the counts of the requests in a file."""
    os.environ |= _EXACT
    count = resolve_name("litellm:token_counter")
    with file.open(encoding="utf-8") as lines:
        print(json.dumps([count(model=model, messages=json.loads(line)) for line in lines]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
