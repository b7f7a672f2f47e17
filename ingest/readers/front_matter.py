"""Finds the front matter of a Markdown text: YAML between lines of ---, TOML between +++."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Blank lines and marks that nobody sees may stand before it: editors and converters leave them.
_FRONT_MATTER = re.compile(
    r"\A(?:[ \t\ufeff\u200b\u2060]*\n)*[\ufeff\u200b\u2060]*"
    r"(?:---[ \t]*\n(?P<yaml>.*?\n)(?:---|\.\.\.)|\+\+\+[ \t]*\n(?P<toml>.*?\n)\+\+\+)"
    r"[ \t]*(?:\n|\Z)",
    re.DOTALL,
)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
_STATED = re.compile(
    r"""^(title|date)[ \t]*[:=][ \t]*["']?(.*?)["']?[ \t]*$""", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stands between two fences at the start of a text.

    Attributes:
        inner: the lines between the fences.
        whole: all of it, with its fences and the blank lines before them.
        toml: whether its fences are those of TOML.
    """

    inner: str
    whole: str
    toml: bool

    def stated(self) -> dict[str, str]:
        """Return what it says of title and date, by their keys in lower case."""
        lines = self.inner
        if self.toml and (table := _TABLE.search(lines)):
            lines = lines[: table.start()]
        return {key.lower(): value for key, value in _STATED.findall(lines)}


def find_front_matter(text: str) -> FrontMatter | None:
    r"""Return the front matter of a text whose lines end in "\n"; None where it has none."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return None
    toml = found["toml"] is not None
    return FrontMatter(found["toml"] if toml else found["yaml"], found[0], toml)
