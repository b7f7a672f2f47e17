"""The one point of a collection that says whether it changed, as readers and its writer use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from chunking.document import content_id
from retrieval.points import Point, Where
from retrieval.records import DocumentRecord
from retrieval.scope import point_id, scoped

_READ = ("token", "swept", "moving", "labelling", "generation")


class Stored(Protocol):
    """A collection of which stored points can be read, see `Index.scroll`."""

    def scroll(
        self,
        kind: str,
        where: Where | None = None,
        *,
        fields: Sequence[str] | None = ...,
        vectors: bool = False,
    ) -> Iterator[Point]:
        """Yield the stored points of one kind."""


def state_point(token: str, *, swept: bool, labelling: bool = False, generation: str = "") -> Point:
    """Return the point that tells readers of a change.

    Args:
        swept: whether the last run came to its end.
        labelling: whether labels are about to change. A writer that dies then has told nobody of
            what it changed last, so readers look at the labels themselves until the next run.
        generation: another one for every repair, for ever. What a repair mends, the records do not
            say, so the token comes back to what it was when readers remembered what was wrong.
    """
    payload = {"token": token, "swept": "yes" if swept else "no"}
    if labelling:
        payload["labelling"] = "yes"
    if generation:
        payload["generation"] = generation
    return Point(point_id("state"), scoped("state", payload))


def token_at_rest(records: Iterable[DocumentRecord]) -> str:
    """Return the token of a collection that holds these, so that equal collections are equal."""
    parts = sorted((one.id, one.version, one.digest, one.sensitivity.value) for one in records)
    return content_id(*(part for four in parts for part in four))


def read_state(stored: Stored) -> Mapping[str, Any]:
    """Return the state of a collection; empty where no writer was ever there."""
    return next((point.payload for point in stored.scroll("state", fields=_READ)), {})


def token_of(state: Mapping[str, Any], stored: Stored) -> str:
    """Return what changes with every change that a reader must not miss."""
    token = f"{state.get('token', '')}{state.get('generation', '')}"
    if not state.get("labelling"):
        return token
    points = stored.scroll("document", fields=("sensitivity",))
    labels = (f"{point.id} {point.payload.get('sensitivity')}" for point in points)
    return f"{token} {content_id(*labels)}"
