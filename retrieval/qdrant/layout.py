"""How the collections of a Qdrant server are laid out: over its machines, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from chunking.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CollectionLayout:
    """How a collection lies on the server; None leaves a choice to the server.

    A layout is applied when a collection is created. An existing one keeps its own.

    Attributes:
        shards: parts that the points are spread over.
        replication_factor: copies of every shard, on machines of their own.
        write_consistency_factor: copies that have taken a write before it counts as done.
        quantization: "int8" keeps vectors of one byte a dimension in memory, to search among;
            "none" keeps none, and another program's way is "other".
        vectors_on_disk: whether the vectors as they were given stay out of memory.
        payload_on_disk: whether texts and other payload stay out of memory.

    Raises:
        ConfigurationError: a write would wait for more copies than there are.
    """

    shards: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    quantization: str | None = None
    vectors_on_disk: bool | None = None
    payload_on_disk: bool | None = None

    def __post_init__(self) -> None:
        copies, needed = self.replication_factor, self.write_consistency_factor
        if copies is not None and needed is not None and needed > copies:
            raise ConfigurationError(
                f"write_consistency_factor {needed} > replication_factor {copies}",
                hint=f"set WINDOWFIT_QDRANT_WRITE_CONSISTENCY_FACTOR to at most {copies}",
                param="qdrant_write_consistency_factor",
            )

    def unlike(self, found: CollectionLayout) -> Mapping[str, tuple[object, object]]:
        """Return what was asked for and found, by name, where the two differ."""
        there = asdict(found)
        return {
            name: (asked, there[name])
            for name, asked in asdict(self).items()
            if asked is not None and asked != there[name]
        }
