"""Loads the packages of the extra `eval` when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chunking.errors import DependencyMissing

IR_MEASURES = "ir_measures"
SCIPY_STATS = "scipy.stats"


def load_package(name: str) -> Any:
    """Return a module of a package that measuring needs.

    Raises:
        DependencyMissing: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyMissing(
            f"measuring needs the package {error.name!r}", hint="pip install 'windowfit[eval]'"
        ) from error
