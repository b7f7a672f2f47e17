"""The one collection that Windowfit keeps about collections: jobs, and where points live."""

from __future__ import annotations

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
