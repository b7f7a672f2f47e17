"""Runs the stages of an ingestion on Ray Data: on this machine, or on the cluster of an address.

Files are listed here; workers read, compare, split and count them, others embed the slices, and
this process alone writes, by the very code that writes what one process embeds. A worker that dies
is started again and does its share again; what comes twice passes once, see `ingest.shares`.
"""

from __future__ import annotations

import logging
import socket
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.exceptions import ActorDiedError, ObjectLostError, RayError, WorkerCrashedError

from chunking.errors import WindowfitError
from ingest import job
from ingest.changes import Quarantined, named_twice
from ingest.errors import ClusterUnavailable
from ingest.job import Embedded, Ingestion
from ingest.quiet import no_standard_error, quiet
from ingest.shares import (
    Arrivals,
    ListedFile,
    WorkOrder,
    deal,
    embed_slice,
    open_tools,
    prepare_share,
    read_embedded,
)
from ingest.slices import Slice
from ingest.texts import SourceFile
from retrieval.lookahead import Lookahead
from retrieval.settings import IndexSettings

STALL_SECONDS = 900.0
"""A run ends when no slice came for so long: a slice takes a slow CPU some minutes."""
RESTARTS = 3
"""How often a worker is started again, and its share done again, before the run ends."""
SHARE_BYTES = 8 * 1024 * 1024
"""Most bytes of a share: lines of JSONL travel in it, of other files only their paths."""
_SHARES_A_WORKER = 4
"""Fewer would leave workers idle at the end of a small source."""
_SLICES_AHEAD = 4
_TASKS_A_WORKER = 2
_CONNECT_SECONDS = 10.0
_STORE_BYTES = 512 * 1024 * 1024
"""Object store of a local run; what exceeds it waits on disk."""
_CONTEXT: Final = {
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    # A block ends once it is this large: so a slice is a block, and work is dealt slice by slice.
    "target_max_block_size": 64 * 1024,
    "max_consecutive_actor_init_deaths": RESTARTS,
}
_COLUMN = "pickled"
_LOST = (ActorDiedError, ObjectLostError, WorkerCrashedError)


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Reads, splits and embeds on Ray: an `Execute` for `run_ingest`.

    Attributes:
        settings: by which workers open embedder, splitter and tokenizers.
        address: of a running cluster, as `ray.init` takes it; None starts one here for this run.
        workers: processes that embed.
    """

    settings: IndexSettings
    address: str | None = None
    workers: int = 2

    def __call__(self, files: Iterable[SourceFile], ingestion: Ingestion) -> Embedded:
        """Yield embedded slices in no order; see `Execute`.

        Raises:
            ClusterUnavailable: the cluster cannot be reached or is too small, a worker died too
                often, or nothing came for `STALL_SECONDS`.
        """
        order = WorkOrder.of(
            self.settings,
            fingerprint=ingestion.writer.index.fingerprint,
            counters=ingestion.counters,
            most_chunks=ingestion.slice_chunks,
        )
        with quiet(), self._connected():
            source = _Source(self.workers, ingestion)
            shares = [ray.put(_table([share])) for share in source.shares(files)]
            yield Slice((), tuple(source.refused)), np.zeros((0, 0), dtype=np.float32)
            arrivals = Arrivals(source.names)
            if shares:
                with Lookahead(
                    self._rows(shares, order), size=_SLICES_AHEAD, timeout_seconds=STALL_SECONDS
                ) as rows:
                    try:
                        for row in _named(rows, self.workers):
                            yield arrivals.take(*read_embedded(row))
                    finally:
                        # Ends the thread of the rows, wherever it waits.
                        ray.shutdown()
        if arrivals.open:
            raise ClusterUnavailable(
                f"{len(arrivals.open):,} of {len(source.names):,} files did not come back whole: "
                "they changed while a worker was lost",
                hint="run the same again: it does what is missing",
            )

    def _rows(self, shares: list[Any], order: WorkOrder) -> Iterator[bytes]:
        """Yield embedded slices as workers return them, pickled."""
        context = ray.data.DataContext.get_current().copy()
        for name, value in _CONTEXT.items():
            setattr(context, name, value)
        with ray.data.DataContext.current(context):
            prepared = ray.data.from_arrow_refs(shares).map_batches(
                _prepare,  # type: ignore[arg-type]  # their types know no pyarrow
                fn_kwargs={"order": order},
                batch_format="pyarrow",
                compute=ray.data.TaskPoolStrategy(size=self.workers),
                num_cpus=1,
                max_retries=RESTARTS,
            )
            embedded = prepared.map_batches(
                _EmbedSlices,
                fn_constructor_kwargs={"order": order},
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(
                    size=self.workers, max_tasks_in_flight_per_actor=_TASKS_A_WORKER
                ),
                num_cpus=1,
                num_gpus=self._gpus(),
                max_restarts=RESTARTS,
                max_task_retries=RESTARTS,
            )
            tables: Iterable[Any] = embedded.iter_batches(batch_size=None, batch_format="pyarrow")
            for table in tables:
                yield from table.column(_COLUMN).to_pylist()

    def _gpus(self) -> float:
        """Return which part of a GPU each worker has, so that all find room."""
        gpus = _resource("GPU")
        return 1 / ceil(self.workers / gpus) if gpus else 0

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Connect to the cluster, or start one that ends with the block and leaves nothing."""
        with tempfile.TemporaryDirectory(prefix="wf-ray-", ignore_cleanup_errors=True) as folder:
            here: dict[str, Any] = {
                "num_cpus": 2 * self.workers,
                "object_store_memory": _STORE_BYTES,
                "_temp_dir": folder,
                "include_dashboard": False,
            }
            try:
                _knock(self.address)
                with no_standard_error():
                    ray.init(
                        self.address or "local",
                        log_to_driver=False,
                        logging_level=logging.CRITICAL,
                        **({} if self.address else here),
                    )
            except (RayError, OSError, RuntimeError, ValueError) as error:
                where = (
                    f"no Ray cluster at {self.address}" if self.address else "Ray does not start"
                )
                raise ClusterUnavailable(
                    f"{where}: {type(error).__name__}",
                    hint="`ray status` tells whether one runs there; it may ask for RAY_AUTH_TOKEN",
                ) from error
            try:
                self._check_size()
                yield
            finally:
                ray.shutdown()

    def _check_size(self) -> None:
        cpus = _resource("CPU")
        if cpus <= self.workers:
            raise ClusterUnavailable(
                f"{self.workers} workers embed and one more reads: {self.workers + 1} CPUs needed, "
                f"the cluster has {cpus}",
                hint="ask for fewer --workers, or add machines to the cluster",
            )


@dataclass(slots=True)
class _Source:
    """Lists a source for the workers.

    Attributes:
        names: of the files listed.
        refused: second files of a name, which no worker sees.
    """

    workers: int
    ingestion: Ingestion
    names: set[str] = field(default_factory=set)
    refused: list[Quarantined] = field(default_factory=list)

    def shares(self, files: Iterable[SourceFile]) -> Iterator[bytes]:
        most = job.BATCH_DOCUMENTS
        if isinstance(files, Sequence):
            most = min(most, max(1, ceil(len(files) / (_SHARES_A_WORKER * self.workers))))
        return deal(self._listed(files), most_files=most, most_bytes=SHARE_BYTES)

    def _listed(self, files: Iterable[SourceFile]) -> Iterator[ListedFile]:
        for file in files:
            if file.name in self.names:
                self.refused.append(Quarantined.of(file.name, named_twice(file.name)))
                continue
            self.names.add(file.name)
            yield ListedFile.of(file, self.ingestion)


class _EmbedSlices:
    """A worker that embeds, with a model of its own."""

    def __init__(self, order: WorkOrder) -> None:
        self._order = order
        open_tools(order)

    def __call__(self, table: pa.Table) -> pa.Table:
        return _table(embed_slice(one, self._order) for one in table.column(_COLUMN).to_pylist())


def _knock(address: str | None) -> None:
    """Raise OSError where nothing answers at a host and port; Ray would try for minutes."""
    host, _, port = (address or "").rpartition("//")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


def _resource(name: str) -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get(name, 0))


def _prepare(table: Any, order: WorkOrder) -> Iterator[Any]:
    for share in table.column(_COLUMN).to_pylist():
        for one in prepare_share(share, order):
            yield _table([one])


def _table(values: Iterable[bytes]) -> pa.Table:
    return pa.table({_COLUMN: pa.array(values, type=pa.large_binary())})


def _named(rows: Iterable[bytes], workers: int) -> Iterator[bytes]:
    """Yield rows, with what Ray raises named as what it is here."""
    try:
        yield from rows
    except TimeoutError as error:
        raise ClusterUnavailable(
            f"none of {workers} workers returned a slice for {STALL_SECONDS:.0f} s",
            hint="see whether the cluster has room for them; then run the same again: it goes on",
        ) from error
    except RayError as error:
        raise failure_of(error) from error


def failure_of(error: BaseException) -> WindowfitError:
    """Return what a failure of Ray is: an error of ours that a worker raised, or a lost worker."""
    for cause in _causes(error):
        if isinstance(cause, WindowfitError):
            return cause
        if isinstance(cause, _LOST):
            return ClusterUnavailable(
                f"a worker ended more often than the {RESTARTS} times that it is started again",
                hint="see whether its machine ended it for want of memory, then run the same again",
            )
    return ClusterUnavailable(
        f"a worker failed with {type(list(_causes(error))[-1]).__name__}",
        hint="run the same with `--engine local`, which shows where",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, outermost first."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = getattr(found, "cause", None) or found.__cause__
