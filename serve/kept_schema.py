"""The wire format of a kept request."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from serve.context.report import ContextReport
from serve.schema import Usage


class KeptCitation(BaseModel):
    """A citation as it was given; its text is null where the corpus holds another one by now."""

    marker: int
    chunk: str
    document: str
    title: str
    breadcrumb: str
    source: str
    start: int
    end: int
    text: str | None


class KeptReceipt(BaseModel):
    """A kept request as its caller got it; of a preview, the answer's fields are null.

    Attributes:
        prompt_sha256: of the canonical JSON of messages and tools; see docs/http.md.
    """

    request_id: str
    kind: Literal["answer", "preview"]
    created_at: datetime
    model: str
    context: ContextReport
    prompt_sha256: str
    timings_ms: dict[str, float]
    answer: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    citations: tuple[KeptCitation, ...] | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None
