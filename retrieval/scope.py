"""What every stored point of Windowfit carries: its tenant, its kind, and an id made of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chunking.document import content_id

TENANT = "default"
INDEXED_KEYS = ("tenant", "kind", "document")


def scoped(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload that belongs to this tenant and is of one kind of record."""
    return {**payload, "kind": kind, "tenant": TENANT}


def point_id(kind: str, name: str = "") -> str:
    """Return the id of a point: of one tenant, one kind and one name."""
    return content_id("windowfit", kind, TENANT, name)


def tenant_scope() -> dict[str, Sequence[str]]:
    """Return the filter that every read carries."""
    return {"tenant": (TENANT,)}


def scope_of(kind: str) -> dict[str, Sequence[str]]:
    """Return the filter of one kind of record, of this tenant."""
    return {**tenant_scope(), "kind": (kind,)}
