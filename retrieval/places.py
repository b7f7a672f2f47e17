"""Where the points of a collection lie: under its own name, or where a rebuild has put them.

A collection that was never rebuilt lies in the place of its own name, and nothing is written about
it. A rebuild fills the place NAME@N beside it. Then one point of the ledger, the pointer, is made
to name the new place: that write is the whole switch. Numbers only grow, so of the other places of
a collection those of a lower number are superseded, and those of a higher one are unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from chunking.errors import CollectionChanged, CollectionNotFound, StoreError
from retrieval.checks import check_collection_name
from retrieval.ledger import LEDGER, open_ledger
from retrieval.points import Engine, Point, PointStore, collection_not_found
from retrieval.scope import point_id, scope_of, scoped

_MARK = "@"
_OPEN_TRIES = 4


@dataclass(frozen=True, slots=True)
class OtherPlaces:
    """The places of a collection besides the one where it lies.

    Attributes:
        superseded: left by a rebuild that died after its switch; nobody needs them.
        unfinished: filled by a rebuild that is under way, or died before its switch.
    """

    superseded: tuple[str, ...]
    unfinished: tuple[str, ...]


def find_place(engine: Engine, collection: str) -> str:
    """Return the place where a collection lies, or would lie if it existed; writes nothing.

    Raises:
        InputError: no collection may have this name.
    """
    check_collection_name(collection)
    return _pointers(engine, collection).get(collection, collection)


def open_place(engine: Engine, collection: str) -> tuple[str, PointStore]:
    """Return the place where a collection lies, with its points.

    Raises:
        CollectionNotFound: there is no such collection.
    """
    place = find_place(engine, collection)
    for _ in range(_OPEN_TRIES):
        try:
            return place, engine.open(place)
        except CollectionNotFound:
            moved = find_place(engine, collection)
            if moved == place:
                raise collection_not_found(collection, collection_names(engine)) from None
            place = moved
    raise CollectionChanged(f"collection {collection!r} moved {_OPEN_TRIES} times in a row")


def collection_names(engine: Engine) -> tuple[str, ...]:
    """Return the names of all collections, sorted: no ledger, and none of their other places."""
    places = engine.collections()
    pointers = _pointers(engine) if LEDGER in places else {}
    names = (place.partition(_MARK)[0] for place in places if place != LEDGER)
    return tuple(sorted({name for name in names if pointers.get(name, name) in places}))


def other_places(engine: Engine, collection: str, place: str) -> OtherPlaces:
    """Return the places of a collection besides `place`, in the order of their numbers."""
    others = [
        other
        for other in engine.collections()
        if other.partition(_MARK)[0] == collection and other != place
    ]
    others.sort(key=_number)
    return OtherPlaces(
        superseded=tuple(other for other in others if _number(other) < _number(place)),
        unfinished=tuple(other for other in others if _number(other) > _number(place)),
    )


def next_place(place: str) -> str:
    """Return the place in which the collection that lies in `place` is built anew."""
    return f"{place.partition(_MARK)[0]}{_MARK}{_number(place) + 1}"


class Switch:
    """The right to move a collection out of a place: of several, the last one that was made.

    Args:
        place: where the collection lies.

    Raises:
        CollectionChanged: it does not lie there any more.
    """

    def __init__(self, engine: Engine, collection: str, place: str) -> None:
        self._collection = collection
        self._ledger = open_ledger(engine)
        self._right = uuid4().hex
        self._point({"place": place, "right": self._right}, only_if={"place": place})

    def move(self, place: str) -> None:
        """Let the collection lie in another place from now on, by one write.

        Raises:
            CollectionChanged: a later `Switch` was made.
        """
        self._point({"place": place, "right": "used"}, only_if={"right": self._right})

    def _point(self, payload: dict[str, str], *, only_if: dict[str, str]) -> None:
        named = scoped("place", {**payload, "collection": self._collection})
        condition = {key: (value,) for key, value in only_if.items()}
        self._ledger.upsert([Point(point_id("place", self._collection), named)], only_if=condition)
        where = {**scope_of("place"), "collection": (self._collection,)}
        if not any(point.payload == named for point in self._ledger.scroll(where=where)):
            raise CollectionChanged(
                f"collection {self._collection!r} was rebuilt by another job meanwhile",
                hint="run this one again if it is still wanted",
            )


def _pointers(engine: Engine, collection: str | None = None) -> Mapping[str, str]:
    """Return the places that the ledger names, by collection; nothing where there is no ledger."""
    where = scope_of("place") | ({} if collection is None else {"collection": (collection,)})
    try:
        points = list(engine.open(LEDGER).scroll(where=where))
    except CollectionNotFound:
        return {}
    try:
        return {point.payload["collection"]: point.payload["place"] for point in points}
    except KeyError as error:
        raise StoreError(
            f"the collection {LEDGER!r} of the store is damaged: it does not say where "
            "collections lie",
            hint="restore it from a copy",
        ) from error


def _number(place: str) -> int:
    number = place.partition(_MARK)[2]
    return int(number) if number.isdecimal() else 0
