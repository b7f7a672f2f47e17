"""Loads tokenizers from where their files lie: a package, a folder, a local cache, or a server.

Their libraries are imported where they are needed: some are optional, and `transformers` takes
seconds to import.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from chunking.errors import ConfigurationError, DependencyMissing, TokenizerUnavailable

if TYPE_CHECKING:
    import tiktoken

# Without this probe, transformers retries each file of an unreachable hub for 45 seconds.
_HUB_PROBE_SECONDS = 5.0
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")

# tiktoken reads the first of these that is set, and names a cached file by the SHA-1 of its URL.
_TIKTOKEN_CACHE_VARIABLES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
_TIKTOKEN_URL = "https://openaipublic.blob.core.windows.net/encodings/{encoding}.tiktoken"
_environment_lock = Lock()


def unknown_name(what: str, key: str, known: Collection[str]) -> ConfigurationError:
    """Return the error for a name that is none of the known ones, with the nearest as hint."""
    close = get_close_matches(key, known, n=1)
    return ConfigurationError(
        f"{what}: {key!r} is none of {', '.join(sorted(known))}",
        hint=f"did you mean {close[0]!r}?" if close else "write it like 'mistral:v3'",
        param="tokenizer",
    )


def load_mistral(version: str) -> Any:
    """Return the `MistralTokenizer` of that version from inside the `mistral-common` package.

    Raises:
        ConfigurationError: there is no such version.
        DependencyMissing: `mistral-common` or its extra `sentencepiece` is not installed.
    """
    with _installed_by("pip install 'mistral-common[sentencepiece]'"):
        import sentencepiece  # noqa: F401  # mistral-common itself goes without it until it encodes
        from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    versions: dict[str, Callable[[], Any]] = {
        "v1": MistralTokenizer.v1,
        "v2": MistralTokenizer.v2,
        "v3": MistralTokenizer.v3,
        "tekken": partial(MistralTokenizer.v3, is_tekken=True),
    }
    if version not in versions:
        raise unknown_name(f"tokenizer 'mistral:{version}'", version, versions)
    return versions[version]()


def load_huggingface(folder_or_name: str | Path, *, folders: Sequence[Path] = ()) -> Any:
    """Return the `transformers` tokenizer of a folder or of a hub repository.

    A folder is read and nothing else is tried. A name `ORG/NAME` is looked for as `NAME` and as
    `ORG/NAME` under each of `folders`, then in the Hugging Face cache, then on the hub.

    Raises:
        DependencyMissing: `transformers` is not installed.
        TokenizerUnavailable: it is in none of these places, or cannot be read there.
    """
    with _installed_by("pip install 'windowfit[embed]'"):
        from transformers import AutoTokenizer

    name = str(folder_or_name)
    own_folder = Path(folder_or_name)
    folder = own_folder if own_folder.is_dir() else _folder_of(name, folders)
    try:
        # AutoTokenizer and no narrower class: model servers choose the class by the same rules.
        tokenizer: Any = (
            AutoTokenizer.from_pretrained(folder, local_files_only=True)
            if folder
            else _from_cache_or_hub(name)
        )
        tokenizer.backend_tokenizer.no_truncation()  # a count must never stop at a limit
        tokenizer.backend_tokenizer.no_padding()
    except Exception as error:
        tried = (
            [folder] if folder else [*_candidates(name, folders), "the Hugging Face cache and hub"]
        )
        raise TokenizerUnavailable(
            f"no tokenizer for {name!r}: tried {', '.join(map(str, tried))}: {_first_line(error)}",
            hint="run `make vllm` for the test model, put a folder with its tokenizer.json under "
            "the models folder, or let this machine reach the Hugging Face hub",
        ) from error
    return tokenizer


def load_tiktoken(encoding: str) -> tiktoken.Encoding:
    """Return an encoding from tiktoken's cache, from LlamaIndex's copy of it, or from OpenAI.

    Raises:
        DependencyMissing: `tiktoken` is not installed.
        TokenizerUnavailable: the encoding is unknown, or neither stored nor downloadable.
    """
    with _installed_by("pip install 'windowfit[server]'"):
        import tiktoken

    try:
        with _llama_index_cache(encoding):
            return tiktoken.get_encoding(encoding)
    except Exception as error:
        raise TokenizerUnavailable(
            f"no encoding {encoding!r}: tried tiktoken's cache, the copy inside llama_index.core "
            f"and OpenAI's server: {_first_line(error)}",
            hint="pip install llama-index-core for cl100k_base and o200k_base, set "
            "TIKTOKEN_CACHE_DIR to a filled cache, or let this machine reach OpenAI's server",
        ) from error


@contextmanager
def _installed_by(command: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DependencyMissing(
            f"this tokenizer needs a package that cannot be imported: {error}", hint=command
        ) from error


def _candidates(name: str, folders: Sequence[Path]) -> list[Path]:
    return [folder / part for folder in folders for part in dict.fromkeys((Path(name).name, name))]


def _folder_of(name: str, folders: Sequence[Path]) -> Path | None:
    for candidate in _candidates(name, folders):
        if any((candidate / file).is_file() for file in _TOKENIZER_FILES):
            return candidate
    return None


def _from_cache_or_hub(name: str) -> Any:
    from huggingface_hub import HfApi
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError):
        HfApi().model_info(name, timeout=_HUB_PROBE_SECONDS)
        return AutoTokenizer.from_pretrained(name)


@contextmanager
def _llama_index_cache(encoding: str) -> Iterator[None]:
    """Let tiktoken read LlamaIndex's copy of the encoding, where nobody chose another cache."""
    folder = _llama_index_folder()
    stored = hashlib.sha1(_TIKTOKEN_URL.format(encoding=encoding).encode()).hexdigest()  # noqa: S324  # a file name
    chosen = any(variable in os.environ for variable in _TIKTOKEN_CACHE_VARIABLES)
    if chosen or folder is None or not (folder / stored).is_file():
        yield
        return
    with _environment_lock:  # the environment belongs to the process: set it briefly, then restore
        os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
        try:
            yield
        finally:
            del os.environ["TIKTOKEN_CACHE_DIR"]


def _llama_index_folder() -> Path | None:
    try:
        spec = find_spec("llama_index.core")  # imports the empty parent only; the package takes 3 s
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "_static" / "tiktoken_cache"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
