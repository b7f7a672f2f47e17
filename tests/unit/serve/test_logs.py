from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from fastapi.testclient import TestClient

from chunking.errors import StoreError
from serve.app import create_app
from serve.backends.scripted import Answer, ScriptedBackend
from serve.errors import UpstreamTimeout
from serve.logs import JsonFormatter, configure_logs
from tests.serving import SETTINGS, small_runtime

SECRET_QUESTION = "Is the zeppelin hangar of Peru haunted?"
DOCUMENT_TEXT = "Capital: Lima"


class Broken(ScriptedBackend):
    """A backend with a defect, whose message repeats what it was asked."""

    async def complete(self, request: Any) -> Any:
        raise RuntimeError(f"cannot digest {request.question}: {request.sources[0].text}")


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """Everything any logger writes at any level, as the service would print it."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def formatted(**fields: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "windowfit.serve", "levelname": "INFO", **fields})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def post(backend: ScriptedBackend, body: dict[str, Any], path: str = "/answer") -> int:
    app = create_app(small_runtime(backend), SETTINGS)
    with TestClient(app, raise_server_exceptions=False) as client:
        return client.post(path, json=body).status_code


def test_a_line_is_one_object_with_time_level_logger_and_event() -> None:
    line = formatted(msg="request", extra=None)

    assert set(line) == {"time", "level", "logger", "event"}
    assert (line["level"], line["logger"], line["event"]) == ("info", "windowfit.serve", "request")
    assert line["time"].endswith("+00:00")


def test_fields_of_a_record_become_keys() -> None:
    line = formatted(msg="request", fields={"status": 200, "path": "/answer"})

    assert (line["status"], line["path"]) == (200, "/answer")


def test_a_line_break_in_a_message_stays_inside_its_line() -> None:
    assert formatted(msg="first\nsecond")["event"] == "first\nsecond"


def test_of_an_exception_type_and_place_are_kept_and_its_text_is_not() -> None:
    with pytest.raises(ValueError, match=DOCUMENT_TEXT) as caught:
        int(DOCUMENT_TEXT)
    line = formatted(msg="defect", exc_info=(caught.type, caught.value, caught.tb))

    assert line["exception"] == "ValueError"
    assert "test_logs.py" in line["place"]
    assert DOCUMENT_TEXT not in json.dumps(line)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (f"Haunted, as {DOCUMENT_TEXT} shows [1]", 200, None),
        (UpstreamTimeout("too slow"), 504, "upstream_timeout"),
        (StoreError("away"), 503, "vector_store_unavailable"),
    ],
)
def test_a_request_is_one_line_without_question_document_or_answer(
    lines: StringIO, answer: Answer, status: int, code: str | None
) -> None:
    assert post(ScriptedBackend([answer]), {"question": SECRET_QUESTION}) == status

    written = lines.getvalue()
    for text in ("zeppelin", "haunted", "Haunted", DOCUMENT_TEXT, "Lima"):
        assert text not in written
    ours = [json.loads(line) for line in written.splitlines()]
    (request,) = [line for line in ours if line["event"] == "request"]
    assert (request["path"], request["status"], request["code"]) == ("/answer", status, code)
    assert len(request["request_id"]) == 32
    if status == 200:
        assert request["kept"] > 0
        assert request["prompt_tokens"] > 0


def test_a_defect_is_logged_by_its_place_without_the_text_it_repeats(lines: StringIO) -> None:
    assert post(Broken(()), {"question": SECRET_QUESTION}) == 500

    written = lines.getvalue()
    assert "zeppelin" not in written
    assert "Lima" not in written
    events = [json.loads(line) for line in written.splitlines()]
    (defect,) = [line for line in events if line["event"] == "defect"]
    assert (defect["exception"], defect["level"]) == ("RuntimeError", "error")
    assert "test_logs.py" in defect["place"]
    (request,) = [line for line in events if line["event"] == "request"]
    assert (request["status"], request["code"]) == (500, "internal_error")
    assert request["request_id"] == defect["request_id"]


@pytest.mark.parametrize(
    "body",
    [
        {"question": SECRET_QUESTION, "history": [{"role": "user", "content": "zeppelin"}]},
        {"question": SECRET_QUESTION, "mode": "zeppelin"},
        {"question": [SECRET_QUESTION]},
        {"question": SECRET_QUESTION, "filter": {"zeppelin": "zeppelin"}},
        {"question": "zeppelin " * 20_000},
    ],
)
def test_a_refused_request_leaves_no_word_of_it(lines: StringIO, body: dict[str, Any]) -> None:
    assert post(ScriptedBackend(()), body) in {400, 422}
    assert "zeppelin" not in lines.getvalue()


def test_the_service_logs_to_standard_error_only(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logs()
        logging.getLogger("windowfit.serve").info("hello")
        logging.getLogger("httpx").info("GET https://example.org/?q=zeppelin")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)

    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert json.loads(line)["event"] == "hello"
