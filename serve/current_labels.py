"""Looks once more at the labels of what a plan would send to a cloud, at the last moment."""

from __future__ import annotations

from dataclasses import replace

from chunking.errors import CollectionChanged
from chunking.sensitivity import Sensitivity, highest
from serve.plan import Plan
from serve.runtime import Runtime


def with_current_labels(plan: Plan, runtime: Runtime) -> Plan:
    """Return the plan of a cloud model with what its request is known to hold by now.

    Plans of local models are returned as they are: nothing of them leaves.

    Raises:
        CollectionChanged: a document in the prompt has a higher label now, or is gone.
        StoreError: the store cannot be asked.
    """
    if plan.profile.place == "local":
        return plan
    shown: dict[str, Sensitivity] = {}
    for chunk in plan.context.chunks:
        known = shown.get(chunk.document, chunk.sensitivity)
        shown[chunk.document] = highest((chunk.sensitivity, known))
    index = runtime.searcher(plan.ask.collection).index
    # From the store, and not from the catalog, which may be seconds old.
    records = index.records(sorted(shown)) if shown else {}
    changed = [
        name
        for name, label in shown.items()
        if name not in records or records[name].sensitivity > label
    ]
    if changed:
        index.forget()
        raise CollectionChanged(
            f"{len(changed)} of {len(shown)} documents in the prompt were removed or have a higher"
            " label since it was planned"
        )
    return replace(plan, ask=runtime.labelled(plan.ask))
