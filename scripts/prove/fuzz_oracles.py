"""Independent counts of a request as it is sent: by libraries and servers, not by our counters."""

from __future__ import annotations

import copy
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from scripts.prove.peers_environment import run_module

Body = Mapping[str, Any]
Oracle = Callable[[Sequence[Body]], list[int | None]]
"""Returns the prompt tokens of each body; None where the server or library refuses it."""

_LITELLM_MODELS: Final = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4"}
_CALLS_AT_ONCE: Final = 4
_SECONDS: Final = 120
_REFUSED: Final = frozenset({400, 422})
_ID_LETTERS: Final = 9
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never a proxy


class OracleDisagrees(RuntimeError):
    """Two routes of one server count the same request differently."""


def mistral_oracle(version: str) -> Oracle:
    """Return mistral-common's own encoding, called as its documentation does."""
    from mistral_common.exceptions import MistralCommonException
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    makers: dict[str, Callable[[], Any]] = {
        "v1": MistralTokenizer.v1,
        "v2": MistralTokenizer.v2,
        "v3": MistralTokenizer.v3,
        "tekken": partial(MistralTokenizer.v3, is_tekken=True),
    }
    tokenizer = makers[version]()

    def count(body: Body) -> int | None:
        request = ChatCompletionRequest.from_openai(
            messages=_shortened(body["messages"]), tools=body.get("tools")
        )
        try:
            return len(tokenizer.encode_chat_completion(request).tokens)
        except MistralCommonException:
            return None

    return lambda bodies: [count(body) for body in bodies]


def _shortened(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cut ids of tool calls as vLLM's `truncate_tool_call_ids` does before it encodes them."""
    turns: list[dict[str, Any]] = copy.deepcopy(list(map(dict, messages)))
    for turn in turns:
        for call in turn.get("tool_calls") or ():
            call["id"] = call["id"][-_ID_LETTERS:]
        if turn["role"] == "tool":
            turn["tool_call_id"] = turn["tool_call_id"][-_ID_LETTERS:]
    return turns


def vllm_oracle(base_url: str, model: str) -> Oracle:
    """Return a real vLLM's counts: `/tokenize` of the messages and the rendered chat completion.

    Raises:
        OracleDisagrees: its two routes differ.
    """
    root = base_url.removesuffix("/v1")

    def count(body: Body) -> int | None:
        sent: dict[str, Any] = {**body, "model": model}
        chat: dict[str, Any] = {
            key: sent[key] for key in ("model", "messages", "tools") if key in sent
        }
        tokenized = _post(f"{root}/tokenize", {**chat, "add_generation_prompt": True})
        rendered = _post(f"{root}/v1/chat/completions/render", sent)
        counts = (
            None if tokenized is None else int(tokenized["count"]),
            None if rendered is None else len(rendered["token_ids"]),
        )
        if counts[0] != counts[1]:
            raise OracleDisagrees(f"/tokenize counts {counts[0]}, /render counts {counts[1]}")
        return counts[0]

    def count_all(bodies: Sequence[Body]) -> list[int | None]:
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
            return list(pool.map(count, bodies))

    return count_all


def _post(url: str, body: Body) -> Any:
    """Return the answer; None where the server refuses the body."""
    data = json.dumps(body, ensure_ascii=False).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with _OPENER.open(request, timeout=_SECONDS) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _REFUSED:
                return None
        raise


def litellm_oracle(encoding: str) -> Oracle:
    """Return LiteLLM's `token_counter`, run in its own environment.

    Its formula for messages is the cookbook's; that for tools is another one, so tools are not
    compared.
    """

    def count_all(bodies: Sequence[Body]) -> list[int | None]:
        with TemporaryDirectory() as folder:
            requests = Path(folder, "requests.jsonl")
            lines = (json.dumps(body["messages"]) for body in bodies)
            requests.write_text("\n".join(lines), encoding="utf-8")
            module = "scripts.prove.fuzz_litellm"
            printed = run_module(module, encoding, _LITELLM_MODELS[encoding], requests)
        counts: list[int | None] = json.loads(printed.splitlines()[-1])
        return counts

    return count_all
