"""Runs prepared batches through a model on one device, within its memory and precision."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from chunking.errors import EmbedderUnavailable
from retrieval.batches import BatchLimits
from retrieval.points import Vector
from retrieval.transformer.features import features_for
from retrieval.transformer.loading import load_model
from retrieval.transformer.threads import cpu_threads, threads_for
from retrieval.transformer.windows import Batch, Window

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

Running = Callable[[], Vector]
"""A batch under way: called once, it waits for the batch's rows and returns them."""

_LOG = logging.getLogger(__name__)
MANY_TEXTS = 64
"""From this many texts on, measuring which precision is faster pays for itself."""
_SAMPLE_TEXTS, _SAMPLE_RUNS = 4, 3
_WORTH_NARROWING = 0.8
"""bfloat16 is kept where it takes at most this share of float32's time; below a quarter of gain the
measurement may err, and float32 is the more exact."""
_LIMITS = {
    # Measured with all-MiniLM-L6-v2 on two cores: see docs/performance.md.
    "cpu": BatchLimits(budget=4096, overhead=128),
    # Not measured yet: some milliseconds of work of a large GPU, and the start of its operations.
    "cuda": BatchLimits(budget=65_536, overhead=4096),
}
_LAGS = {"cpu": 0, "cuda": 1}


def limits_of(device: str) -> BatchLimits:
    """Return how large batches are on a device: "cpu", "cuda:0"."""
    return _LIMITS[device.partition(":")[0]]


class Encoder:
    """A model loaded onto one device; threads may share it.

    The precision is float16 on CUDA, and bfloat16 from the first text on whose vector float16 is
    too narrow for. On a CPU it is float32 until the first large window, which measures once whether
    bfloat16 is faster there: it is on CPUs with AVX512-BF16 or AMX, and several times slower on
    others.

    Attributes:
        model: the sentence-transformers model; another one once the precision changes.
        lag: how many windows may be under way while the next is started; a CPU works at once.

    Raises:
        ConfigurationError: the weights cannot be loaded.
        DependencyMissing: sentence-transformers is not installed.
    """

    def __init__(self, location: str, *, device: str) -> None:
        self.model = load_model(location, device=device)
        self.lag = _LAGS[self.model.device.type]
        self._threads = cpu_threads()
        self._features = features_for(self.model)
        self._settled = self.model.device.type != "cpu"
        self._largest: int | None = None
        self._lock = Lock()

    @property
    def dtype(self) -> str:
        """The precision of the weights, as torch names it: "float32"."""
        return str(self.model.dtype).removeprefix("torch.")

    def steady(self) -> Encoder:
        """Return one with the same weights whose precision no window changes; itself on CUDA."""
        if self._settled:
            return self
        twin = copy.copy(self)
        twin._settled = True
        return twin

    def settle(self, window: Window) -> None:
        """Choose the precision by some texts of the first large window, on a CPU."""
        if not self._settled and window.count >= MANY_TEXTS:
            self._settled = True
            self._choose_precision(window.batches[len(window.batches) // 2])

    def start(self, batch: Batch) -> Running:
        """Begin a batch; on CUDA its rows are computed while the caller goes on.

        Raises:
            EmbedderUnavailable: the device has no memory for a single text, or the vectors are no
                numbers in any precision.
        """
        with self._prepared_for(batch):
            rows = self._within_memory(batch)
            if rows.is_cuda:
                return self._fetching(rows, batch)
        found = self._finished(rows, batch)
        return lambda: found

    def features(self, batch: Batch) -> dict[str, Any]:
        """Return the model's input for a batch, on its device."""
        with self._lock:
            # A library that tokenizes changes its tokenizer at every call.
            found = self._features.of(batch, self.model)
        if self.model.device.type == "cpu":
            return found
        return {
            # From pinned memory the copy waits for nothing that runs on the device.
            name: value.pin_memory().to(self.model.device, non_blocking=True)
            if hasattr(value, "pin_memory")
            else value
            for name, value in found.items()
        }

    def forward(self, features: dict[str, Any]) -> Tensor:
        """Return the model's rows for a batch's features, on its device and in its precision."""
        return _run(self.model, features)

    def _within_memory(self, batch: Batch) -> Tensor:
        """Run a batch, in halves where the device has no memory for the whole."""
        import torch

        if self._largest is None or batch.padded_count <= self._largest or len(batch) == 1:
            try:
                return self.forward(self.features(batch)).float()
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    raise EmbedderUnavailable(
                        f"no memory on {self.model.device} for a text of {batch.ids.size} tokens",
                        hint="free memory there, or embed with a smaller model",
                    ) from error
            # Not inside the handler, since its error holds on to the tensors of the failed pass.
            self._shrink(batch)
        return torch.cat([self._within_memory(half) for half in batch.halves()])

    def _shrink(self, batch: Batch) -> None:
        import torch

        self._largest = batch.padded_count // 2
        _LOG.warning(
            "no memory on %s for a batch of %d tokens: at most %d from now on",
            self.model.device,
            batch.padded_count,
            self._largest,
        )
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _fetching(self, rows: Tensor, batch: Batch) -> Running:
        """Begin to copy rows from the device, without waiting for them."""
        import torch

        host = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
        host.copy_(rows, non_blocking=True)
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # untyped there
        copied.record(torch.cuda.current_stream(rows.device))

        def finish() -> Vector:
            copied.synchronize()
            return self._finished(host, batch)

        return finish

    def _finished(self, rows: Tensor, batch: Batch) -> Vector:
        """Return unit rows; a precision that is too narrow for one of them is left for good."""
        wide: Vector = rows.numpy()
        if np.isfinite(wide).all():
            # A half-precision norm is off by up to 0.3 %, so the rows are brought to one here.
            norms = np.linalg.norm(wide, axis=1, keepdims=True)
            return np.asarray(wide / norms.clip(min=1e-12), dtype=np.float32)
        self._widen()
        return self._finished(self._within_memory(batch).cpu(), batch)

    def _widen(self) -> None:
        import torch

        wider = {"float16": torch.bfloat16, "bfloat16": torch.float32}.get(self.dtype)
        if wider is None:
            raise EmbedderUnavailable(
                f"the embedder's vectors are no numbers in {self.dtype}",
                hint="fetch its weights again, or choose another embedder",
            )
        _LOG.warning("a vector overflows %s: going on with %s", self.dtype, wider)
        self.model = copy.deepcopy(self.model).to(wider)

    def _choose_precision(self, batch: Batch) -> None:
        """Keep bfloat16 where it is clearly faster, measured on this machine with a few texts."""
        import torch

        # A copy is narrowed: weights that come back from bfloat16 are not what they were.
        wide, narrow = self.model, copy.deepcopy(self.model).to(torch.bfloat16)
        sample = self.features(batch.first(_SAMPLE_TEXTS))
        if _seconds(narrow, sample) <= _WORTH_NARROWING * _seconds(wide, sample):
            self.model = narrow

    def _prepared_for(self, batch: Batch) -> AbstractContextManager[object]:
        """Make the GPU the current one, where pinned memory belongs to, or choose the threads."""
        import torch

        device = self.model.device
        if device.type == "cuda":
            return torch.cuda.device(device)
        return threads_for(batch.padded_count, most=self._threads)


def _run(model: SentenceTransformer, features: dict[str, Any]) -> Tensor:
    import torch

    with torch.inference_mode():
        # The modules write what they find into the dictionary that they are given.
        rows: Tensor = model(dict(features))["sentence_embedding"]
        return rows[:, : model.truncate_dim]


def _seconds(model: SentenceTransformer, features: dict[str, Any]) -> float:
    """Return the least time of some passes, after one that warms up."""
    taken = []
    for _ in range(1 + _SAMPLE_RUNS):
        start = time.perf_counter()
        _run(model, features)
        taken.append(time.perf_counter() - start)
    return min(taken[1:])
