"""Decides how many threads of a CPU a batch is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_WORTH_SHARING = 64
"""Tokens of a batch above which two threads are clearly faster than one; see
docs/performance.md."""


def cpu_threads() -> int:
    """Return how many threads torch computes with where nobody says otherwise."""
    import torch

    return torch.get_num_threads()


@contextmanager
def threads_for(tokens: int, *, most: int) -> Iterator[None]:
    """Compute with one thread for a few tokens, and with the most for more.

    Threads that share a few microseconds of work wait for each other at every layer. Where the CPU
    does other work, too, a question then takes a second that one thread answers in a tenth of it.
    """
    import torch

    # Said each time: a thread of Python's that is new takes over what another one has just set.
    torch.set_num_threads(1 if tokens <= _WORTH_SHARING else most)
    try:
        yield
    finally:
        torch.set_num_threads(most)
