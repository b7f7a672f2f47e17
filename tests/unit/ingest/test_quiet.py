"""A cluster library's own remarks stay off the streams; everybody else's do not."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings

import pytest

from ingest.quiet import no_standard_error, quiet


def test_threads_of_the_library_print_nothing_and_others_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with quiet():
        thread = threading.Thread(target=lambda: print("a worker died"), name="ray_listen")
        thread.start()
        thread.join()
        print("ours")
    print("after")
    assert capsys.readouterr().out == "ours\nafter\n"


def test_environment_and_loggers_are_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "info")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    level = logging.getLogger("ray.data").level
    with quiet():
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert not logging.getLogger("ray.data").isEnabledFor(logging.ERROR)
    assert os.environ["RAY_BACKEND_LOG_LEVEL"] == "info"
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ
    assert logging.getLogger("ray.data").level == level


def test_other_warnings_than_the_one_that_is_known_are_heard() -> None:
    with quiet():
        warnings.warn("`ray_remote_args` is deprecated and so on", DeprecationWarning, stacklevel=1)
        with pytest.raises(DeprecationWarning, match="something else"):
            warnings.warn("something else", DeprecationWarning, stacklevel=1)


def test_standard_error_is_dropped_below_python_and_comes_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with no_standard_error():
        os.write(2, b"greetings")
    sys.stderr.write("ours")
    assert capfd.readouterr().err == "ours"
