"""Measures whether a model answers better from sources by relevance or in document order.

    python -m scripts.measure_order                 with the local model of `scripts.local_model`
    python -m scripts.measure_order --url URL       with any OpenAI-compatible server

Both orders show the same kept chunks of the same question under the same budget, at temperature 0.
A model is asked only where the order can matter: the two prompts differ and hold all evidence.
Plans and answers are kept below `.cache/order`, so that a stopped run goes on where it was. Prints
a table and a last line of JSON. Needs the test data (`WINDOWFIT_TEST_DATA`) and the Factbook
ingested as `factbook`; without `--url` also `pip install 'windowfit[local]'`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from scripts.local_model import DEFAULT_MODELS, SERVED_NAME, running_local_model
from scripts.order_cases import ANSWER_TOKENS, ORDERS, SETS, Case, remembered

_ANSWER_SECONDS = 600
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a local server: no proxy

Answering = Callable[[Sequence[Mapping[str, str]]], str]


def is_right(text: str, answers: Sequence[str], rivals: Sequence[str] = ()) -> bool:
    """Return whether all answers stand in a text as whole words, the first before any rival."""
    said = _normalised(re.sub(r"\[\d+\]", " ", text))
    places = [said.find(_normalised(answer)) for answer in answers]
    others = [said.find(_normalised(rival)) for rival in rivals]
    return min(places) >= 0 and not any(0 <= other < places[0] for other in others)


def _normalised(text: str) -> str:
    words = re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", text.casefold().replace(",", ""))
    return f" {' '.join(word for word in words if word not in ('the', 'a', 'an'))} "


def sign_test(first_only: int, second_only: int) -> float:
    """Return the exact two-sided p-value of McNemar's test on the pairs that disagree."""
    total = first_only + second_only
    tail = sum(math.comb(total, k) for k in range(min(first_only, second_only) + 1))
    return float(min(1.0, 2 * tail / 2**total))


def read_answers(path: Path) -> dict[str, dict[str, str]]:
    """Return the answers written so far by question and order, but for a line cut short."""
    answers: dict[str, dict[str, str]] = {}
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            one = json.loads(line)
            answers.setdefault(one["id"], {})[one["order"]] = one["text"]
    return answers


def ask_both(case: Case, path: Path, answering: Answering, *, document_first: bool) -> None:
    """Append the answers to both orders that the file does not hold yet."""
    known = read_answers(path).get(case.id, {})
    for order in reversed(ORDERS) if document_first else ORDERS:
        if order not in known:
            one = {"id": case.id, "order": order, "text": answering(case.prompts[order])}
            with path.open("a", encoding="utf-8") as file:
                # The line before may have been cut short by a kill.
                file.write(f"\n{json.dumps(one, ensure_ascii=False)}\n")


def summarise(cases: Sequence[Case], answers: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the figures of one set: what the orders change, and the paired result."""
    differing = [case for case in cases if case.differing]
    gold = [case for case in differing if case.found]
    pairs = [
        tuple(is_right(answers[case.id][order], case.answers, case.rivals) for order in ORDERS)
        for case in cases
        if case.asked and len(answers.get(case.id, ())) == len(ORDERS)
    ]
    relevance_only, document_only = pairs.count((True, False)), pairs.count((False, True))
    both = pairs.count((True, True))
    return {
        "planned": len(cases),
        "same_kept": sum(case.same_kept for case in cases),
        "differing": len(differing),
        "differing_with_evidence": len(gold),
        "gold_place": {
            order: round(sum(case.places[order] for case in gold) / max(1, len(gold)), 3)
            for order in ORDERS
        },
        "asked": len(pairs),
        "right": {"relevance": both + relevance_only, "document": both + document_only},
        "only_right": {"relevance": relevance_only, "document": document_only},
        "difference": round((document_only - relevance_only) / max(1, len(pairs)), 3),
        "p_value": round(sign_test(relevance_only, document_only), 4),
    }


def _chat(url: str, model: str, messages: Sequence[Mapping[str, str]]) -> str:
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": ANSWER_TOKENS}
    request = urllib.request.Request(
        f"{url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with _OPENER.open(request, timeout=_ANSWER_SECONDS) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url:
        yield url.rstrip("/")
    else:
        with running_local_model(DEFAULT_MODELS) as own:
            yield own


def _ask_all(
    cases: Mapping[str, Sequence[Case]],
    files: Mapping[str, Path],
    answering: Answering,
    *,
    ask: int,
    seconds: float,
) -> None:
    """Ask the sets in turn, so that a run that ends early has asked each about as often."""
    started = time.monotonic()
    queues = ([(name, case) for case in some if case.asked][:ask] for name, some in cases.items())
    for number, turn in enumerate(zip_longest(*queues)):
        for name, case in filter(None, turn):
            if time.monotonic() - started > seconds:
                return
            # Taking turns, so that no order profits from what the server still holds of the other.
            ask_both(case, files[name], answering, document_first=number % 2 == 1)


def _print_table(results: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"{'set':<12} {'n':>4} {'relevance':>10} {'document':>9} {'only r':>7} {'only d':>7} p")
    for name, one in results.items():
        right, only = one["right"], one["only_right"]
        print(
            f"{name:<12} {one['asked']:>4} {right['relevance']:>10} {right['document']:>9}"
            f" {only['relevance']:>7} {only['document']:>7} {one['p_value']:.3f}"
        )
        place = one["gold_place"]
        print(
            f"  prompts differ for {one['differing']} of {one['planned']} questions; mean place"
            f" of the evidence {place['relevance']:.2f} and {place['document']:.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, ask and print the comparison; return 0."""
    parser = argparse.ArgumentParser(description="Compare the two orders of the sources.")
    parser.add_argument("--url", help="OpenAI-compatible server, with /v1; default: a local model")
    parser.add_argument("--model", default=SERVED_NAME, help="the server's name of the model")
    parser.add_argument("--size", type=int, default=120, help="questions planned per set")
    parser.add_argument("--ask", type=int, default=60, help="most questions asked per set")
    parser.add_argument("--budget", type=int, default=700, help="most tokens of sources")
    parser.add_argument("--seconds", type=float, default=3600, help="start no question after these")
    parser.add_argument("--folder", type=Path, default=Path(".cache/order"), help="plans, answers")
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("WINDOWFIT_TEST_DATA", ".cache/data"))
    chosen.folder.mkdir(parents=True, exist_ok=True)
    stem = f"{chosen.size}-{chosen.budget}"
    cases = {
        name: remembered(
            chosen.folder / f"{name}-{stem}.cases.jsonl",
            partial(make, data, chosen.size, chosen.budget),
        )
        for name, make in SETS.items()
    }
    model = re.sub(r"[^\w.-]+", "-", chosen.model)
    files = {name: chosen.folder / f"{name}-{stem}.{model}.jsonl" for name in SETS}
    if chosen.ask and chosen.seconds:
        with _server(chosen.url) as url:
            answering = partial(_chat, url, chosen.model)
            _ask_all(cases, files, answering, ask=chosen.ask, seconds=chosen.seconds)
    results = {name: summarise(cases[name], read_answers(files[name])) for name in SETS}
    _print_table(results)
    print(json.dumps({"model": chosen.model, "budget": chosen.budget, "sets": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
