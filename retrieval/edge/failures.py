"""The one place where what Qdrant Edge and the file system raise becomes ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chunking.errors import InputError, StoreError

HINT = "check that the store's folder can be written and the disk has room, then retry"
"""What to do where the engine failed."""


@contextmanager
def engine_errors(action: str) -> Iterator[None]:
    """Map what the engine and the file system raise; the engine raises bare `Exception`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise InputError(f"cannot {action}: an id, key or value is of no kind it stores") from error
    except OSError as error:
        raise StoreError(f"cannot {action}: {error.strerror}", hint=HINT) from error
    except BaseException as error:
        if type(error) is Exception or type(error).__name__ == "PanicException":
            raise StoreError(f"cannot {action}: the embedded engine failed", hint=HINT) from error
        raise
