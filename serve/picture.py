"""Draws a context report for a terminal: the window as a bar, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

from rich.text import Text

Json = Mapping[str, Any]

BAR_WIDTH = 72
_LEFT_OUT_SHOWN = 5
_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n")}, " ")
"""Text of documents and models may hold escape sequences; printed, they would steer a terminal."""
_CHUNK_STYLES = ("green", "cyan")
_FIXED_STYLES = {"template": "magenta", "system": "blue", "history": "yellow", "question": "red"}


def draw_answer(response: Json) -> Text:
    """Return an answer with its sources, its window and its numbers, ready to print.

    Args:
        response: the JSON of `POST /answer`.
    """
    text = Text()
    text.append(f"{_printable(response['answer'])}\n\n")
    if response.get("finish_reason") == "length":
        limit = response["context"]["reserved_output"]
        text.append(f"(The answer was cut at {limit:,} tokens; max_output_tokens raises it.)\n\n")
    for citation in response["citations"]:
        span = f"characters {citation['start']} to {citation['end']}"
        text.append(f"  [{citation['marker']}] ", style="bold")
        text.append(f"{_printable(citation['breadcrumb'])}  ")
        text.append(f"({_printable(citation['source'])} {span})\n", style="dim")
    if response["citations"]:
        text.append("\n")
    text.append_text(draw_window(response["context"]))
    cost = f"cost ${response['cost_usd']:.5f} ({response['context']['cost_basis']})"
    text.append(f"{_timings(response)}; {cost}\n", style="dim")
    text.append(f"request {response['request_id']}\n", style="dim")
    return text


def draw_preview(response: Json) -> Text:
    """Return the window of a plan for which no model was called, ready to print.

    Args:
        response: the JSON of `POST /context/preview`.
    """
    text = draw_window(response["context"])
    text.append(f"{_timings(response)}; no model was called\n", style="dim")
    text.append(f"request {response['request_id']}\n", style="dim")
    return text


def draw_replay(done: Json, *, messages: bool) -> Text:
    """Return the outcome of a replay, ready to print.

    Args:
        done: the JSON of `GET /requests/{id}/prompt`.
        messages: whether the prompt itself is shown, too.
    """
    text = Text()
    for message in done["messages"] if messages else ():
        text.append(f"{message['role']}\n", style="bold")
        text.append(f"{_printable(message['content'])}\n\n")
    if done["identical"]:
        text.append(f"identical: {done['tokens']:,} tokens, sha256 {done['sha256']}\n")
        return text
    text.append(
        f"different: {done['tokens']:,} tokens, sha256 {done['sha256']}\n"
        f"  planned: {done['planned_tokens']:,} tokens, sha256 {done['planned_sha256']}\n"
    )
    for document, change in done["changed"].items():
        text.append(f"  {_printable(document)} {change}\n")
    if not done["changed"]:
        text.append("  no document changed: the profile's tokenizer or template did\n")
    return text


def draw_window(report: Json) -> Text:
    """Return the window as a bar with its legend, then the fates of the candidates.

    Several calls have no one window: of mode `exhaustive`, the calls are told instead.

    Args:
        report: the JSON of a context report.
    """
    text = Text()
    text.append(
        f"window {report['window']:,} tokens of {report['model']}, "
        f"count {report['count']} ({report['tokenizer']})\n",
        style="bold",
    )
    exhaustive = report.get("exhaustive")
    if exhaustive is not None and exhaustive["calls"] > 1:
        text.append(_calls(exhaustive))
    else:
        text.append_text(_bar(report))
        text.append(_legend(report) + "\n")
    text.append(_route(report.get("route") or {}))
    if report.get("insufficient_evidence"):
        text.append(f"insufficient evidence: support {report['support']:.2f} of 1\n", style="red")
    upstream = report.get("upstream")
    if upstream is not None:
        read, drift = upstream["prompt_tokens"], upstream["drift"]
        cut = ", CUT IN SILENCE" if upstream["silently_truncated"] else ""
        text.append(f"the server read {read:,} prompt tokens: {drift:+,} against the plan{cut}\n")
    if removed := report["removed_citations"]:
        text.append(f"{removed} citations of nothing in the prompt were removed\n")
    text.append_text(_fates(report))
    return text


def _timings(response: Json) -> str:
    return ", ".join(f"{name} {value:,.0f} ms" for name, value in response["timings_ms"].items())


def _route(route: Json) -> str:
    """Return why the request went to its model; nothing where it named that."""
    reason = route.get("reason", "")
    if not reason or reason.startswith("model="):
        return ""
    rule = f"rule {_printable(route['rule'])!r}: " if route["rule"] else ""
    passed = ", ".join(f"{one['model']}: {one['reason']}" for one in route["passed"])
    return f"route {route['target']}, {rule}{reason}{f'; passed {passed}' if passed else ''}\n"


def _calls(exhaustive: Json) -> str:
    """Return what the calls of mode `exhaustive` take, a line for each of their limits."""
    shards = exhaustive["shard_prompt_tokens"]
    joined = exhaustive["join_prompt_tokens"]
    joins = f"up to {exhaustive['join_prompt_limit']:,}" if joined is None else f"{joined:,}"
    lines = [
        f"{exhaustive['calls']:,} calls: {len(shards):,} read the sources with up to"
        f" {max(shards):,} prompt tokens each, one joins their notes with {joins}",
        f"at most {exhaustive['prompt_tokens_at_most']:,} prompt tokens,"
        f" {exhaustive['output_tokens_at_most']:,} answer tokens,"
        f" ${exhaustive['cost_at_most_usd']:.5f}",
    ]
    if cut := exhaustive["notes_cut"]:
        lines.append(f"{cut:,} notes were cut to fit the joining call")
    if unfinished := exhaustive.get("notes_unfinished"):
        lines.append(f"{unfinished:,} notes are unfinished: they had no more room")
    return "".join(f"{line}\n" for line in lines)


def _bar(report: Json) -> Text:
    parts = list(_parts(report))
    text = Text("▕")
    for (_, letter, style), width in zip(
        parts, _widths([tokens for tokens, _, _ in parts]), strict=True
    ):
        text.append(letter * width, style=style)
    return text.append("▏\n")


def _parts(report: Json) -> Iterator[tuple[int, str, str]]:
    """Yield tokens, letter and style of every part of the window, in prompt order."""
    segments = report["segments"]
    for name in ("template", "system", "history"):
        yield segments[name], name[0], _FIXED_STYLES[name]
    kept = sorted(
        (entry for entry in report["entries"] if entry["marker"] is not None),
        key=lambda entry: entry["marker"],
    )
    # More chunks than cells are drawn in groups: the bar cannot tell them apart.
    together = max(1, -(-len(kept) // BAR_WIDTH))
    looks = cycle(zip("█▓", _CHUNK_STYLES, strict=True))
    for first in range(0, len(kept), together):
        yield sum(entry["tokens"] for entry in kept[first : first + together]), *next(looks)
    yield segments["question"], "q", _FIXED_STYLES["question"]
    yield report["reserved_output"], "░", "white"
    yield report["free"], "·", "dim"


def _widths(tokens: list[int]) -> list[int]:
    """Return bar widths that add up to `BAR_WIDTH`; what is there at all gets one cell if it can.

    Cells are added where a part has fewer than its share, and taken where it has more.
    """
    shares = [count * BAR_WIDTH / max(sum(tokens), 1) for count in tokens]
    widths = [max(int(share), 1) if share else 0 for share in shares]
    places = range(len(tokens))
    while sum(widths) < BAR_WIDTH:
        widths[max(places, key=lambda i: shares[i] - widths[i])] += 1
    while sum(widths) > BAR_WIDTH:
        widths[max(places, key=lambda i: (widths[i] > 1, widths[i] - shares[i]))] -= 1
    return widths


def _legend(report: Json) -> str:
    segments = report["segments"]
    kept = report["coverage"]["kept"]
    named = [f"{name} {segments[name]:,}" for name in ("template", "system", "history")]
    named.append(f"█▓ {kept} chunks {segments['retrieved']:,}")
    named.append(f"question {segments['question']:,}")
    used = f"= prompt {report['prompt_tokens']:,}"
    asked = report["requested_output"]
    cut = f" of {asked:,} asked for" if asked > report["reserved_output"] else ""
    rest = f"░ reserved {report['reserved_output']:,}{cut} | · free {report['free']:,}"
    return f"{' + '.join(named)} {used} | {rest}"


def _fates(report: Json) -> Text:
    coverage = report["coverage"]
    fates = Counter((entry["fate"], entry["reason"]) for entry in report["entries"])
    corpus = f"corpus: {coverage['corpus_documents']:,} documents"
    if (passing := coverage.get("passing_documents")) is not None:
        corpus += f", {passing:,} of them pass the filter"
    if coverage["corpus_tokens"]:
        corpus += f", {coverage['corpus_tokens']:,} tokens"
    text = Text(f"{corpus}; {coverage['percent']:.2f} % of it in the prompt\n")
    summary = ", ".join(
        f"{count} {fate}" + (f" ({reason})" if reason else "")
        for (fate, reason), count in sorted(fates.items(), key=str, reverse=True)
    )
    text.append(f"candidates: {coverage['candidates']}: {summary or 'none'}\n")
    left_out = [entry for entry in report["entries"] if entry["marker"] is None]
    for entry in left_out[:_LEFT_OUT_SHOWN]:
        why = entry["reason"] or f"same text as {entry['duplicate_of']}"
        what = f"#{entry['rank']} {_printable(entry['breadcrumb'])} ({entry['tokens']} tokens)"
        text.append(f"  left out: {what}: {why}\n", style="dim")
    if len(left_out) > _LEFT_OUT_SHOWN:
        text.append(f"  … and {len(left_out) - _LEFT_OUT_SHOWN} more (--json)\n", style="dim")
    return text


def _printable(text: str) -> str:
    return text.translate(_CONTROLS)
