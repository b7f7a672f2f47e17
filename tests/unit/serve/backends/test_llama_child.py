"""What the process of llama.cpp is given of the service's environment."""

from __future__ import annotations

import pytest

from serve.backends.llama_child import needed_of


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "LC_ALL"],
)
def test_what_llama_cpp_needs_is_passed_on(name: str) -> None:
    assert needed_of({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "WINDOWFIT_API_KEYS",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "HTTPS_PROXY",
        "PYTHONPATH",
        "MY_PATH",
        "path",
    ],
)
def test_nothing_else_is(name: str) -> None:
    assert needed_of({name: "x"}) == {}
