"""Measures embedding: from texts to vectors against the forward passes of the same batches alone.

    python -m scripts.bench_embed [--factbook FOLDER] [--model NAME] [--device cuda:0] [--texts 256]

Needs torch, sentence-transformers and what they bring; nothing else of Windowfit's. In every round
three ways take turns over the same texts:

- end to end: raw strings to vectors in memory, as ingestion embeds them;
- forward: the model alone over exactly the batches that our way made, already on the device; no
  tokenization, no planning, no copy back;
- sentence-transformers' own `encode`, at its usual batch size.

Rates are medians over rounds, in tokens of the texts a second, padding not counted. Ratios are
medians of each round's own ratio, so that what else the machine does cancels out as far as may be.
The target is a time from end to end of at most 1.1 times the forward time. The last line is JSON.

Where the weights are on no disk of this machine, random ones of the same shape are made: they take
the same time. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import tokenizers
import torch
import transformers

from retrieval.batches import BatchLimits
from retrieval.transformer import TransformerEmbedder
from retrieval.transformer.encoder import Encoder, limits_of
from retrieval.transformer.windows import Batch, prepare
from retrieval.weights import find_weights
from scripts.bench_texts import CHUNKED, GENERATED, factbook_texts, generated_texts
from scripts.random_embedder import write_random_embedder

TARGET = 1.1
MODEL = "all-MiniLM-L6-v2"
RANDOM = "random, of the shape of all-MiniLM-L6-v2"
TEXTS = {"cpu": 128, "cuda": 32_768}
ENCODE_SIZES = {"cpu": 32, "cuda": 256}
WARM_TEXTS = 64
"""Texts run through each way before it is measured; enough to settle the precision."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, and of what; rates in tokens a second."""

    device: str
    processor: str
    threads: int
    dtype: str
    weights: str
    texts: str
    text_count: int
    tokens: int
    padding_percent: float
    batches: int
    budget: int
    rounds: int
    end_to_end_rate: float
    forward_rate: float
    encode_rate: float
    end_to_end_to_forward_time: float
    end_to_end_to_forward_range: tuple[float, float]
    encode_to_end_to_end_time: float
    worst_difference: float
    versions: dict[str, str]
    date: str

    @property
    def held(self) -> bool:
        """Whether the target was reached."""
        return self.end_to_end_to_forward_time <= TARGET


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table and a line of JSON; return 0 whatever was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default=MODEL, help="name or folder of the weights")
    parser.add_argument("--factbook", type=Path, help="folder of the World Factbook's JSON files")
    parser.add_argument("--device", help='"cpu", "cuda:0"; the first GPU, or else the CPU')
    parser.add_argument("--texts", type=int, help="how many texts a round embeds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=int, help="most tokens of a batch, padding included")
    parser.add_argument("--overhead", type=int, help="tokens that starting a batch is worth")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = bench(chosen, Path(folder))
    for name, value in table(measured):
        print(f"{name:<28} {value}")
    print(json.dumps({**asdict(measured), "target": TARGET, "held": measured.held}))
    return 0


def bench(chosen: argparse.Namespace, folder: Path) -> Measured:
    """Measure what the arguments ask for; random weights are put into `folder`."""
    device = chosen.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    kind = device.partition(":")[0]
    count = chosen.texts or TEXTS[kind]
    texts, source = generated_texts(count), GENERATED
    location, weights = local_weights(chosen.model, texts, folder)
    limits = limits_of(device)
    limits = BatchLimits(chosen.budget or limits.budget, chosen.overhead or limits.overhead)
    embedder = TransformerEmbedder(location, devices=(device,), limits=limits)
    if chosen.factbook and weights != RANDOM:
        measure, limit = embedder.count_tokens, embedder.input_limit
        texts = factbook_texts(chosen.factbook, count, measure=measure, limit=limit)
        source = CHUNKED
    encoder = embedder.encoder()
    embedder.embed(texts[:WARM_TEXTS])
    windows = list(prepare([texts], tokens=embedder.tokens, limits=embedder.limits))
    batches = [batch for window in windows for batch in window.batches]
    ways: dict[str, Callable[[], Any]] = {
        "end to end": lambda: embedder.embed(texts),
        "forward": forward_alone(encoder, batches),
        "encode": lambda: encoder.model.encode(
            texts, batch_size=ENCODE_SIZES[kind], show_progress_bar=False
        ),
    }
    seconds = take_turns(ways, rounds=chosen.rounds, device=device)
    difference = np.abs(
        embedder.embed(texts[:WARM_TEXTS]) - encoder.model.encode(texts[:WARM_TEXTS])
    )
    tokens = int(sum(batch.counts.sum() for batch in batches))
    padded = sum(batch.padded_count for batch in batches)
    overheads = ratios(seconds, "end to end", "forward")
    rate = {way: tokens / statistics.median(taken) for way, taken in seconds.items()}
    return Measured(
        device=device,
        processor=processor_name(device),
        threads=torch.get_num_threads(),
        dtype=encoder.dtype,
        weights=weights,
        texts=source,
        text_count=len(texts),
        tokens=tokens,
        padding_percent=round(100 * (padded - tokens) / padded, 1),
        batches=len(batches),
        budget=limits.budget,
        rounds=chosen.rounds,
        end_to_end_rate=round(rate["end to end"]),
        forward_rate=round(rate["forward"]),
        encode_rate=round(rate["encode"]),
        end_to_end_to_forward_time=round(statistics.median(overheads), 3),
        end_to_end_to_forward_range=(round(min(overheads), 3), round(max(overheads), 3)),
        encode_to_end_to_end_time=round(
            statistics.median(ratios(seconds, "encode", "end to end")), 3
        ),
        worst_difference=float(difference.max()),
        versions=versions(),
        date=datetime.now(UTC).date().isoformat(),
    )


def local_weights(model: str, texts: Sequence[str], folder: Path) -> tuple[str, str]:
    """Return a folder of weights and what they are: those of the model, or random ones."""
    home = Path(os.environ.get("WINDOWFIT_HOME", ".windowfit"), "models").absolute()
    found = find_weights(model, folders=(home,))
    if Path(found).is_dir():
        return found, model.rpartition("/")[2]
    write_random_embedder(folder / "random", texts)
    return str(folder / "random"), RANDOM


def forward_alone(encoder: Encoder, batches: Sequence[Batch]) -> Callable[[], None]:
    """Return what runs the batches through the model, their input on the device already."""
    prepared = [encoder.features(batch) for batch in batches]

    def run() -> None:
        for features in prepared:
            encoder.forward(features)

    return run


def take_turns(
    ways: dict[str, Callable[[], Any]], *, rounds: int, device: str
) -> dict[str, list[float]]:
    """Return the seconds of each way in each round; another way begins each round."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    order = list(ways)
    for number in range(rounds + 1):
        for way in order:
            synchronize(device)
            start = time.perf_counter()
            ways[way]()
            synchronize(device)
            if number:
                # The first round warms caches and the device's memory up.
                seconds[way].append(time.perf_counter() - start)
        order = order[1:] + order[:1]
    return seconds


def ratios(seconds: dict[str, list[float]], upper: str, lower: str) -> list[float]:
    """Return how many times as long `upper` took as `lower`, in each round."""
    return [one / other for one, other in zip(seconds[upper], seconds[lower], strict=True)]


def synchronize(device: str) -> None:
    """Wait until the device has done what was started on it."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def processor_name(device: str) -> str:
    """Return what computes, by its own name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of what was measured with."""
    modules = (torch, sentence_transformers, transformers, tokenizers, np)
    found = {module.__name__: str(module.__version__) for module in modules}
    return {"python": platform.python_version(), **found}


def table(measured: Measured) -> list[tuple[str, str]]:
    """Return the lines of the printed table."""
    verdict = "held" if measured.held else "not held"
    lowest, highest = measured.end_to_end_to_forward_range
    overhead = f"{measured.end_to_end_to_forward_time} ({lowest} to {highest})"
    return [
        ("device", f"{measured.device}: {measured.processor}, {measured.threads} threads"),
        ("precision", measured.dtype),
        ("weights", measured.weights),
        ("texts", f"{measured.text_count:,}, {measured.texts}"),
        ("tokens", f"{measured.tokens:,} in {measured.batches} batches of {measured.budget:,}"),
        ("padding", f"{measured.padding_percent} %"),
        ("versions", ", ".join(f"{name} {found}" for name, found in measured.versions.items())),
        ("end to end, tokens/s", f"{measured.end_to_end_rate:,.0f}"),
        ("forward alone, tokens/s", f"{measured.forward_rate:,.0f}"),
        ("library's encode, tokens/s", f"{measured.encode_rate:,.0f}"),
        ("end to end / forward, time", f"{overhead}, at most {TARGET}: {verdict}"),
        ("encode / end to end, time", f"{measured.encode_to_end_to_end_time}"),
        ("largest difference", f"{measured.worst_difference:.1e} from encode's vectors"),
    ]


if __name__ == "__main__":
    sys.exit(main())
