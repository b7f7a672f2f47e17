"""Opens what a profile names: its backend and its token counter, with the key it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from chunking.counters import load_counter
from chunking.errors import ConfigurationError, DependencyMissing
from chunking.tokens import TokenCounter
from serve.backends.protocol import ChatBackend
from serve.backends.quote import QuoteBackend
from serve.backends.scripted import ScriptedBackend
from serve.backends.server_counter import ServerCounter
from serve.profiles import ModelProfile

ASKS_SERVER = "server:"
"""How the name of a tokenizer begins that is asked of the profile's own server."""


def open_counter(
    profile: ModelProfile, *, secrets: Mapping[str, str], models_folder: Path
) -> TokenCounter:
    """Return the token counter that a profile names.

    Raises:
        TokenizerUnavailable: it is on no folder and no hub within reach.
        ConfigurationError: the profile's key is not set.
    """
    if profile.tokenizer.startswith(ASKS_SERVER) and profile.base_url is not None:
        return ServerCounter(
            profile.tokenizer.removeprefix(ASKS_SERVER),
            base_url=profile.base_url,
            api_key=key_of(profile, secrets),
            timeout_seconds=profile.timeout_seconds,
            proxied=_proxied(profile),
        )
    return load_counter(profile.tokenizer, folders=(models_folder,))


def open_backend(
    profile: ModelProfile,
    *,
    secrets: Mapping[str, str],
    counter: Callable[[ModelProfile], TokenCounter],
    models_folder: Path,
) -> ChatBackend:
    """Return a new backend of a profile; nothing is sent or loaded yet.

    Args:
        counter: gives the profile's counter where the backend counts what it writes.
        models_folder: holds the files of models that llama.cpp runs.

    Raises:
        ConfigurationError: the profile's key is not set, or its file is not there.
        DependencyMissing: a package for it is not installed.
    """
    if profile.backend == "quote":
        return QuoteBackend(counter(profile))
    if profile.backend == "scripted":
        return ScriptedBackend(())
    if profile.model_file is not None:
        return _llama_backend(profile, models_folder / profile.model_file)
    return _openai_backend(profile, key_of(profile, secrets))


def key_of(profile: ModelProfile, secrets: Mapping[str, str]) -> str | None:
    """Return the key of a profile; None where it needs none.

    Raises:
        ConfigurationError: the variable that it names is not set.
    """
    key = secrets.get(profile.api_key_env) if profile.api_key_env else None
    if profile.api_key_env and not key:
        raise ConfigurationError(
            f"profile {profile.name!r} needs the variable {profile.api_key_env}, which is not set",
            hint=f"export {profile.api_key_env}=…, or choose another model",
        )
    return key


def _proxied(profile: ModelProfile) -> bool:
    """Return whether a proxy of the environment may see the text: it is no part of the place."""
    return profile.place == "cloud"


def _openai_backend(profile: ModelProfile, key: str | None) -> ChatBackend:
    kind = _load("serve.backends.openai_compatible:OpenAICompatibleBackend", profile)
    backend: ChatBackend = kind(
        base_url=profile.base_url,
        api_key=key,
        model=profile.model,
        timeout_seconds=profile.timeout_seconds,
        temperature=profile.temperature,
        window=profile.window,
        proxied=_proxied(profile),
    )
    return backend


def _llama_backend(profile: ModelProfile, file: Path) -> ChatBackend:
    kind = _load("serve.backends.llama_cpp:LlamaCppBackend", profile)
    weights = profile.review.weights
    backend: ChatBackend = kind(
        file,
        model=profile.model,
        window=profile.window,
        timeout_seconds=profile.timeout_seconds,
        temperature=profile.temperature,
        sha256=weights.sha256 if weights is not None else "",
    )
    return backend


def _load(kind: str, profile: ModelProfile) -> Any:
    """Return a class whose module needs a package that may not be there."""
    try:
        return resolve_name(kind)
    except ImportError as error:
        raise DependencyMissing(
            f"profile {profile.name!r} needs the package {error.name!r}",
            hint="pip install 'windowfit[server]'",
        ) from error
