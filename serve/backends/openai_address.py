"""What a profile's address and key say of a server with OpenAI's routes; pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from chunking.errors import ConfigurationError
from serve.backends.openai_failures import KEY_HINT


def output_parameter(base_url: str) -> str:
    """Return the name under which a server takes the most answer tokens.

    OpenAI's reasoning models refuse `max_tokens`; other servers know it the longest.
    https://help.openai.com/en/articles/5072518-controlling-the-length-of-openai-model-responses
    """
    host = host_of(base_url)
    ours = host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))
    return "max_completion_tokens" if ours else "max_tokens"


def host_of(base_url: str) -> str:
    """Return the host of an address; empty where it has none."""
    return urlsplit(base_url).hostname or ""


def server_name(base_url: str) -> str:
    """Return host and port for messages; credentials in the address stay out of them.

    Raises:
        ConfigurationError: it is no address of a server.
    """
    try:
        parts = urlsplit(base_url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            "the profile's base_url is no http or https address", param="base_url"
        )
    return f"the model server at {parts.hostname}{port}"


def sendable_key(api_key: str | None) -> str:
    """Return the key; servers that want none get a word, since the SDK insists on sending one.

    Raises:
        ConfigurationError: the key cannot be sent.
    """
    key = "none" if api_key is None else api_key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            "the API key is empty or holds characters that no HTTP header carries",
            hint=KEY_HINT,
            param="api_key_env",
        )
    return key
