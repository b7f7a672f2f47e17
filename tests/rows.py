"""Rows of the ledger, for what only looks at rows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from serve.ledger import CallRow

MORNING = datetime(2026, 11, 21, 9, tzinfo=UTC)


def row(call: str, **changes: Any) -> CallRow:
    """Return the row of an answered call of a cloud model; its request has the same name."""
    fields: dict[str, Any] = {
        "call": call,
        "request_id": call,
        "at": MORNING,
        "tenant": "default",
        "collection": "factbook",
        "model": "cloud-model",
        "place": "cloud",
        "route_reason": "model=cloud-model",
        "rule": None,
        "outcome": "answered",
        "error_code": None,
        "sent": True,
        "streamed": False,
        "llm_calls": 1,
        "prompt_tokens": 1000,
        "cached_tokens": 0,
        "output_tokens": 100,
        "tokens": "measured",
        "price_usd": Decimal("0.0065"),
        "price_basis": "a price",
        "hardware_usd": Decimal(0),
        "hardware_basis": "",
        "first_token_seconds": 0.5,
        "call_seconds": 2.0,
        "total_seconds": 2.5,
        "output_tokens_per_second": 50.0,
        "sensitivity": None,
        "sent_documents": 3,
    }
    return CallRow(**{**fields, **changes})
