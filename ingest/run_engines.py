"""Chooses what reads, splits and embeds in a run: this process, or Ray's."""

from __future__ import annotations

from enum import StrEnum

from chunking.errors import InputError
from ingest.job import Execute, embed_files
from retrieval.providers import load_provider
from retrieval.settings import IndexSettings


class RunEngine(StrEnum):
    """What reads, splits and embeds in a run."""

    LOCAL = "local"
    RAY = "ray"


def open_run_engine(
    engine: RunEngine, settings: IndexSettings, address: str | None, workers: int | None
) -> Execute:
    """Return what reads, splits and embeds.

    Raises:
        InputError: an option of Ray's was given without it.
        DependencyMissing: Ray is not installed.
    """
    if engine is RunEngine.LOCAL:
        for name, given in (("address", address), ("workers", workers)):
            if given is not None:
                raise InputError(f"--{name} needs --engine ray", param=name)
        return embed_files
    ray_engine = load_provider("ingest.distributed:RayEngine", "ray")
    execute: Execute = ray_engine(settings, address=address, workers=workers or 2)
    return execute
