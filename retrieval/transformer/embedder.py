"""The embedder over sentence-transformers weights; loads them when first needed."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

import numpy as np

from chunking.measures import Measure
from retrieval.batches import BatchLimits
from retrieval.lookahead import Lookahead
from retrieval.points import Vector
from retrieval.transformer.encoder import MANY_TEXTS, Encoder, limits_of
from retrieval.transformer.loading import available_devices, facts_of, tokenizer_file
from retrieval.transformer.processes import DeviceProcesses
from retrieval.transformer.stream import Runner, embed_windows
from retrieval.transformer.tokens import tokens_of
from retrieval.transformer.windows import FIRST_TEXTS, prepare
from retrieval.weights import find_weights, read_facts

_WINDOWS_AHEAD = 4


class TransformerEmbedder:
    """An `Embedder` over a sentence-transformers model; thread-safe.

    Importing the libraries and loading the weights takes seconds, so both wait for the first text
    to embed: counting tokens and checking an index that has not changed need neither.

    Texts are tokenized once, planned into batches of like length and run through the model while a
    thread tokenizes the next ones. On several GPUs `embed_stream` runs one process for each.

    Args:
        model: model name ("all-MiniLM-L6-v2"), hub name ("org/name") or folder.
        folders: where a folder of that name is looked for before any package or the hub.
        devices: where to compute ("cpu", "cuda:1"); all CUDA devices, or else the CPU, by default.
        limits: how large batches are, where the device's own limits do not suit the model.

    Raises:
        ConfigurationError: the weights are found nowhere, or are not the published ones.
        DependencyMissing: sentence-transformers is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        folders: Sequence[Path] = (),
        devices: Sequence[str] = (),
        limits: BatchLimits | None = None,
    ) -> None:
        self.name = f"sentence-transformers:{model.rsplit('/', maxsplit=1)[-1]}"
        self._location = find_weights(model, folders=folders)
        self._named_devices = tuple(devices)
        self._limits = limits
        self._lock = Lock()
        self._encoders: tuple[Encoder, Encoder] | None = None
        facts = read_facts(self._location)
        if facts is None:
            loaded = self.encoder().model
            facts, tokenizer = facts_of(loaded), loaded.tokenizer.backend_tokenizer
        else:
            tokenizer = tokenizer_file(self._location)
        self.dimension = facts.dimension
        self.input_limit = facts.input_limit
        self.tokens = tokens_of(tokenizer, limit=self.input_limit)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that are computed on; the first one alone by `embed`."""
        return self._named_devices or available_devices()

    def encoder(self) -> Encoder:
        """Return the model on the first device, loaded by the first call."""
        encoder, _ = self._loaded()
        return encoder

    def limits(self) -> BatchLimits:
        """Return how large the batches are that texts are planned into."""
        return self._limits or limits_of(self.devices[0])

    @property
    def count_tokens(self) -> Measure:
        """Return, called, the word pieces of each text, [CLS] and [SEP] included, uncut."""
        return self.tokens

    def embed(self, texts: Sequence[str]) -> Vector:
        """Return one unit row per text, float32, shape (len(texts), dimension).

        Fewer than 64 texts, such as a question, have the same rows whatever was embedded before:
        on a CPU only more of them may be computed in bfloat16.

        Raises:
            EmbedderUnavailable: the device has no memory for a single text.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if len(texts) > FIRST_TEXTS:
            [rows] = self._embedded([texts], processes=False)
            return rows
        encoder, steady = self._loaded()
        runner = encoder if len(texts) >= MANY_TEXTS else steady
        windows = prepare([texts], tokens=self.tokens, limits=self.limits)
        [rows] = embed_windows(
            windows, lambda: runner, dimension=self.dimension, ready=lambda: False
        )
        return rows

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """Yield the rows of each batch of texts, in order, while the next ones are prepared.

        `batches` is iterated on a thread of its own, some batches ahead; with several devices each
        computes in a process of its own. An error of either side ends both and is raised here. What
        was started ends with the iteration, also when the caller leaves it early and closes it.

        Raises:
            EmbedderUnavailable: a device has no memory for a single text, or its process ended.
        """
        return self._embedded(batches, processes=len(self._named_devices) != 1)

    def _loaded(self) -> tuple[Encoder, Encoder]:
        """Return the model on the first device, and with the precision that it was loaded in."""
        with self._lock:
            if self._encoders is None:
                encoder = Encoder(self._location, device=self.devices[0])
                self._encoders = encoder, encoder.steady()
            return self._encoders

    def _embedded(
        self, batches: Iterable[Sequence[str]], *, processes: bool
    ) -> Generator[Vector, None, None]:
        prepared = prepare(batches, tokens=self.tokens, limits=self.limits)
        with Lookahead(prepared, size=_WINDOWS_AHEAD) as windows, ExitStack() as running:

            def runner() -> Runner:
                if processes and len(self.devices) > 1:
                    return running.enter_context(DeviceProcesses(self._location, self.devices))
                return self.encoder()

            yield from embed_windows(
                windows, runner, dimension=self.dimension, ready=lambda: windows.ready
            )
