"""The right to change a collection: held by one writer among all that reach the store.

A point of the collection names the holder and carries a beat that the holder changes every few
seconds, by compare-and-set. Who wants the right and finds a beat that stands still takes over; no
clock is compared with another machine's. A holder on the same machine whose process is gone is
replaced at once.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from chunking.errors import CollectionNotFound, StoreError, StoreLocked
from retrieval.points import Point, PointStore, Where

BEAT_SECONDS = 5.0
"""How often a holder shows that it is alive."""
PATIENCE_SECONDS = 6 * BEAT_SECONDS
"""How long a beat stands still until its holder is taken for dead."""
_LOOKS_PER_BEAT = 4
_FREE = "free"

_held: set[str] = set()
"""Owners in this process that hold a lease: an abandoned one is told from a live one."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: what another process needs to know whether it still runs."""

    owner: str
    host: str
    pid: int
    started: str

    @property
    def elsewhere(self) -> bool:
        """Whether this machine cannot tell if the holder still runs."""
        return self.host != _host()

    @property
    def gone(self) -> bool:
        """Whether the holder is known to have ended; False where this machine cannot tell."""
        if self.elsewhere:
            return False
        if self.pid == os.getpid() and self.started == _started(self.pid):
            return self.owner not in _held
        return _started(self.pid) != self.started


class Lease:
    """The lease on one collection, from construction to `release`.

    Args:
        scope: payload and filter values that every point of the tenant carries.
        point_id: id of the lease's point.
        wait: sleeps so many seconds.

    Raises:
        StoreLocked: a live writer holds it; the message names its machine and process.
    """

    def __init__(
        self,
        store: PointStore,
        *,
        scope: dict[str, str],
        point_id: str,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._scope = scope
        self._point_id = point_id
        self._beat = ""
        self._lost = False
        self._renewed = 0.0
        self._stop = threading.Event()
        self._beating = threading.Lock()
        pid = os.getpid()
        self._holder = Holder(uuid4().hex, _host(), pid, _started(pid))
        _held.add(self._holder.owner)
        try:
            self._acquire(wait)
        except BaseException:
            _held.discard(self._holder.owner)
            raise
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @property
    def holder(self) -> Holder:
        """Who holds this lease."""
        return self._holder

    def confirm(self) -> None:
        """Raise as `check` does; the store is asked only where the last beat is not fresh."""
        if self._lost or _clock() - self._renewed > PATIENCE_SECONDS / 2:
            self.check()

    def check(self) -> None:
        """Raise StoreError where another writer took the lease over: nothing may be written now."""
        if self._lost or not self._renew():
            raise StoreError(
                "another writer took over the collection, as this one had not moved for "
                f"{PATIENCE_SECONDS:g} seconds",
                hint="run the job again: it goes on where the collection stands",
            )

    def release(self) -> None:
        """Let the next writer in; a store that cannot be reached lets it in later."""
        self._stop.set()
        self._thread.join()
        _held.discard(self._holder.owner)
        with suppress(StoreError, CollectionNotFound):
            if not self._lost:
                self._write({"beat": _FREE}, only_if={"beat": (self._beat,)})

    def _acquire(self, wait: Callable[[float], None]) -> None:
        beat, holder = self._read()
        waited = 0.0
        while holder is not None and not holder.gone and waited < PATIENCE_SECONDS:
            if _is_alive_here(holder):
                raise _locked(holder)
            wait(BEAT_SECONDS / _LOOKS_PER_BEAT)
            waited += BEAT_SECONDS / _LOOKS_PER_BEAT
            now, holder = self._read()
            if holder is not None and now != beat:
                raise _locked(holder)
            beat = now
        if not self._take(beat):
            raise _locked(self._read()[1])

    def _take(self, beat: str) -> bool:
        """Put this holder where a beat stands; return whether it stands there now."""
        mine = uuid4().hex
        begun = _clock()
        self._write({**asdict(self._holder), "beat": mine}, only_if={"beat": (beat,)})
        if self._read()[0] != mine:
            return False
        self._beat, self._renewed = mine, begun
        return True

    def _renew(self) -> bool:
        with self._beating:
            try:
                # A beat whose answer was lost may have been written all the same: still ours.
                beat, holder = self._read()
                ours = holder is not None and holder.owner == self._holder.owner
                taken = ours and self._take(beat)
            except CollectionNotFound:
                taken = False  # rebuilt and removed by who took over
            self._lost = not taken
            return taken

    def _keep(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            # A store that cannot be reached for a moment: the next beat comes.
            with suppress(StoreError):
                if not self._renew():
                    return

    def _write(self, payload: dict[str, object], *, only_if: Where) -> None:
        self._store.upsert([Point(self._point_id, {**payload, **self._scope})], only_if=only_if)

    def _read(self) -> tuple[str, Holder | None]:
        """Return the beat and who holds the lease; None where nobody does."""
        for point in self._store.scroll(
            where={key: (value,) for key, value in self._scope.items()}
        ):
            stored = point.payload
            if stored["beat"] == _FREE:
                return _FREE, None
            return stored["beat"], Holder(*(stored[name] for name in Holder.__slots__))
        return _FREE, None


def holder_name(point: Point) -> str | None:
    """Return who holds a stored lease, for people; None where nobody does, or who did is gone."""
    stored = point.payload
    if stored["beat"] == _FREE:
        return None
    holder = Holder(*(stored[name] for name in Holder.__slots__))
    return None if holder.gone else f"process {holder.pid} on {_name(holder)}"


def _clock() -> float:
    """Return seconds that go on while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _is_alive_here(holder: Holder) -> bool:
    return holder.host == _host() and not holder.gone


def _locked(holder: Holder | None) -> StoreLocked:
    who = "another writer" if holder is None else f"process {holder.pid} on {_name(holder)}"
    return StoreLocked(
        f"the collection is being changed by {who}",
        hint="wait for that job to end, then run this one again",
    )


def _name(holder: Holder) -> str:
    return holder.host.partition("/")[0]


def _host() -> str:
    """Return what stands for this machine, and on it for this set of process numbers."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()}/{namespace}"


def _started(pid: int) -> str:
    """Return when a process started, in the system's own ticks; empty for one that does not run.

    Where there is no /proc, a number that is in use counts as the process that had it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        # A zombie has ended: only its parent has not asked yet.
        return "" if fields[0] in {"Z", "X"} else fields[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "running"
