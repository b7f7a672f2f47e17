"""Recognises in a request what was said and shown here before, and notes what is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from chunking.errors import CollectionNotFound, WindowfitError
from chunking.sensitivity import Sensitivity, highest
from retrieval.index import Index
from serve.answered import AnsweredLabels, Known, Saying, Source, merged
from serve.brought import brought_texts
from serve.current_labels import labels_now, planned_labels
from serve.plan import Ask, Plan
from serve.prints import LINE_LETTERS, Brought, count_letters
from serve.routing import may_leave


@dataclass(frozen=True, slots=True)
class Recall:
    """The memory of labels beside the store, which tells what labels became of them.

    Attributes:
        index_of: returns the index of a collection, or raises where there is none.
        cloud_limit: the highest label that may go to a cloud.
    """

    answered: AnsweredLabels
    index_of: Callable[[str], Index]
    cloud_limit: Sensitivity

    def recognise(self, ask: Ask) -> Ask:
        """Return the request with the highest label of what it brings back, in whatever field.

        That is the label it was said or shown under, or one that its documents were given since.
        """
        texts = brought_texts(ask)
        # A request is looked at several times on its way, and is taken apart once.
        brought = ask.brought if ask.brought.texts == texts else Brought.of(texts)
        known = self.answered.find(brought.prints)
        label = self._label_by_now(known, away=Sensitivity.RESTRICTED)
        return replace(ask, recognised=label, recalled=known.sources, brought=brought)

    def note_shown(self, plan: Plan) -> None:
        """Remember the protected text that a plan shows: a caller reads it in citations."""
        for chunk in plan.context.chunks:
            if not may_leave(chunk.sensitivity, self.cloud_limit):
                source = Source(plan.ask.collection, (chunk.document,))
                known = Known(chunk.sensitivity, (source,))
                self.answered.note(chunk.text, known, kind="shown")
                if count_letters(chunk.breadcrumb) >= LINE_LETTERS:  # "Peru" is a word of many
                    self.answered.note(chunk.breadcrumb, known, kind="shown")

    def saying(self, plan: Plan) -> Saying:
        """Return what notes an answer to a plan while it is written."""
        return Saying(self.answered, known_of(plan), skip=self._callers_own(plan))

    def note_said(self, plan: Plan, *texts: str) -> None:
        """Remember what an answer to a plan says, under the label that its documents have by now.

        It holds also where a document goes whose label was raised.
        """
        known = known_of(plan)
        # A store that is away raises no label for good: it is asked when the answer comes back.
        label = self._label_by_now(known, away=known.label)
        for text in texts:
            self.answered.note(text, replace(known, label=label), skip=self._callers_own(plan))

    def _callers_own(self, plan: Plan) -> frozenset[bytes]:
        """Return the prints of what the caller said himself and may leave: an answer restates it.

        What of it is known has its label already, and loses none.
        """
        free = may_leave(plan.ask.sensitivity, self.cloud_limit)
        return plan.ask.brought.runs if free else frozenset()

    def _label_by_now(self, known: Known, *, away: Sensitivity) -> Sensitivity:
        """Return the label of a text, or the one that its documents were given since if higher.

        Args:
            away: the label of documents that the store cannot be asked about.
        """
        labels = [known.label]
        for source in known.sources:
            try:
                index = self.index_of(source.collection)
                self.answered.learn(source.collection, labels_now(source.documents, index))
            except CollectionNotFound:
                pass  # what was learnt before it went away holds
            except WindowfitError:
                labels.append(away)
            labels.append(self.answered.learnt(source))
        return highest(labels)


def known_of(plan: Plan) -> Known:
    """Return what is known of an answer to a plan: its label and what it is made from."""
    ask, context = plan.ask, plan.context
    source = Source(ask.collection, tuple(planned_labels(context)))
    shown = (chunk.sensitivity for chunk in context.chunks)
    return Known(highest((ask.label, *shown)), merged((source, *ask.recalled)))


def labels_to_hold(plan: Plan) -> dict[str, dict[str, Sensitivity]]:
    """Return by collection and document the label that none must exceed when a cloud is called.

    Those are the documents that the plan shows, and those that what comes back was made from.
    """
    held = {plan.ask.collection: planned_labels(plan.context)}
    for source in plan.ask.recalled:
        labels = held.setdefault(source.collection, {})
        for document in source.documents:
            labels.setdefault(document, plan.ask.recognised)
    return held
