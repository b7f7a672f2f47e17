"""Recognises in a request what was said and shown here before, and notes what a plan shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

from chunking.errors import CollectionNotFound, WindowfitError
from chunking.sensitivity import Sensitivity, highest
from retrieval.index import Index
from serve.answered import AnsweredLabels, Known, Source, merged
from serve.brought import brought_texts
from serve.current_labels import label_now, planned_labels
from serve.plan import Ask, Plan
from serve.prints import prints_in
from serve.routing import may_leave

IndexOf = Callable[[str], Index]
"""Returns the index of a collection, or raises where there is none."""


def recognise(ask: Ask, answered: AnsweredLabels, index_of: IndexOf) -> Ask:
    """Return the request with the highest label of what it brings back, in whatever field.

    That is the label it was said or shown under, or one that its documents were given since.
    """
    known = answered.find(chain.from_iterable(map(prints_in, brought_texts(ask))))
    label = label_by_now(known, index_of)
    return replace(ask, recognised=label, recalled=known.sources)


def known_of(plan: Plan) -> Known:
    """Return what is known of an answer to a plan: its label and what it is made from."""
    ask, context = plan.ask, plan.context
    source = Source(ask.collection, tuple(planned_labels(context)))
    shown = (chunk.sensitivity for chunk in context.chunks)
    return Known(highest((ask.label, *shown)), merged((source, *ask.recalled)))


def labels_to_hold(plan: Plan) -> dict[str, Sensitivity]:
    """Return by document the label that it must not exceed when the plan is sent to a cloud.

    Those are documents of the plan's collection: what it shows, and what comes back was made from.
    """
    labels = planned_labels(plan.context)
    for source in plan.ask.recalled:
        if source.collection == plan.ask.collection:
            for document in source.documents:
                labels.setdefault(document, plan.ask.recognised)
    return labels


def label_by_now(known: Known, index_of: IndexOf) -> Sensitivity:
    """Return the label of a text, or the one that its documents have by now if that is higher."""
    return highest((known.label, *(_label_of(source, index_of) for source in known.sources)))


def note_shown(plan: Plan, answered: AnsweredLabels, *, cloud_limit: Sensitivity) -> None:
    """Remember the protected text that a plan shows: a caller reads it in citations."""
    for chunk in plan.context.chunks:
        if not may_leave(chunk.sensitivity, cloud_limit):
            source = Source(plan.ask.collection, (chunk.document,))
            answered.note(chunk.text, Known(chunk.sensitivity, (source,)), kind="shown")


def _label_of(source: Source, index_of: IndexOf) -> Sensitivity:
    if not source.documents:
        return Sensitivity.PUBLIC
    try:
        return label_now(source.documents, index_of(source.collection))
    except CollectionNotFound:
        return Sensitivity.PUBLIC
    except WindowfitError:
        return Sensitivity.RESTRICTED
