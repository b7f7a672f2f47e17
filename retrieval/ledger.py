"""The one collection that Windowfit keeps about collections: jobs, and where points live."""

from __future__ import annotations

from chunking.errors import InputError
from retrieval.points import Engine, PointStore

LEDGER = "windowfit.ledger"
"""Its name in the store, on every engine; no collection of a user may have it."""
LEDGER_KEYS = ("tenant", "kind", "collection", "state")


def open_ledger(engine: Engine) -> PointStore:
    """Return the ledger of a store, made first if it does not exist.

    Raises:
        StoreError: the store failed.
    """
    return engine.create(LEDGER, dimension=1, indexed=LEDGER_KEYS)


def user_collections(engine: Engine) -> tuple[str, ...]:
    """Return the names of the collections that users made, sorted.

    Raises:
        StoreError: the store failed.
    """
    return tuple(name for name in engine.collections() if name != LEDGER)


def check_free_name(collection: str) -> None:
    """Raise InputError where a collection cannot have this name because the ledger has it."""
    if collection == LEDGER:
        raise InputError(
            f"collection name {LEDGER!r} is that of the records of jobs",
            hint="choose another collection name",
            param="collection",
        )
