"""Times LlamaIndex's `PromptHelper.repack` and a plan of the same candidates, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from chunking.tokens import TokenCounter
from scripts.prove.peers_tokens import MistralTokenizer
from serve.context.assemble import ContextWindow, assemble, count_fixed
from serve.context.budget import plan_budget
from serve.context.prompt import Prompt
from serve.context.report import Candidate

WINDOW: Final = 8192
RESERVED: Final = 512
LEAST_RATIO: Final = 10.0


def plan_once(
    question: str, candidates: Sequence[Candidate], counter: TokenCounter
) -> ContextWindow:
    """Plan one request from its candidates on, as the service does."""
    prompt = Prompt(question, control_tokens=counter.control_tokens)
    fixed = count_fixed(prompt, counter)
    budget = plan_budget(
        window=WINDOW, output_limit=RESERVED, fixed=sum(fixed), requested_output=RESERVED
    )
    return assemble(candidates, prompt=prompt, fixed=fixed, budget=budget, counter=counter)


def measure_repack(
    question: str,
    candidates: Sequence[Candidate],
    counter: TokenCounter,
    *,
    tokenizer: str | None,
    repeats: int,
) -> dict[str, Any]:
    """Time LlamaIndex's `PromptHelper.repack` and our plan of the same chunks in turns.

    Args:
        tokenizer: "mistral:v3" for LlamaIndex with the right tokenizer, None for its default.
    """
    from llama_index.core.indices.prompt_helper import PromptHelper
    from llama_index.core.prompts import PromptTemplate

    texts = [candidate.chunk.embedded_text for candidate in candidates]
    template = PromptTemplate("{context_str}\n{query_str}").partial_format(query_str=question)
    encode = MistralTokenizer().encode if tokenizer else None
    helper = PromptHelper(context_window=WINDOW, num_output=RESERVED, tokenizer=encode)

    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(repeats):
        theirs.append(timed(lambda: helper.repack(template, texts)))
        ours.append(timed(lambda: plan_once(question, candidates, counter)))
    ratio = statistics.median(theirs) / statistics.median(ours)
    return {
        "tokenizer": tokenizer or "default",
        "repack_ms": round(statistics.median(theirs) * 1000, 1),
        "plan_ms": round(statistics.median(ours) * 1000, 1),
        "ratio": round(ratio, 1),
        "held": ratio >= LEAST_RATIO,
    }


def timed(work: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> float:
    """Return the seconds of one run: of this thread's processor time, unless the clock is given."""
    started = clock()
    work()
    return clock() - started
