"""Reads the label that a document states of itself, and refuses what was meant as one.

A label that is overlooked leaves a text open that somebody meant to protect. So a key that is not
quite `sensitivity`, or stands where no label is read, makes the document unreadable, and loudly.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from typing import Any, Literal

from chunking.errors import UnknownSensitivity, UnreadableLabel
from chunking.sensitivity import TOLD_CHARACTERS, Sensitivity, parse_sensitivity
from ingest.readers.front_matter import FrontMatter, find_front_matter
from ingest.texts import decode_leniently

_KEY = "sensitivity"
_MISSPELT = 0.85
"""Likeness of a key that is taken for a slip: `sensitive` is below it, `sensitivty` is not."""
_OTHER_NAMES = frozenset(
    "classification confidentiality dataclassification informationclassification secrecy"
    " securityclassification securitylevel".split()
)
_PROTECTING = ("restricted", "confidential", "secret")
_OPEN_TO_DOUBT = (*_PROTECTING, "internal", "private", "high", "true", "yes")
_HEAD_LINES = 40
"""Lines of a text without a label in which one is looked for that no fence holds."""
_LOOSE_CHARACTERS = 200
"""What is longer is a sentence, and no key with a label."""

_LINE = re.compile(r"""([ \t]*(?:[-?{,][ \t]*)*)(["']?)([^"':=#{}\[\],]{1,80}?)\2[ \t]*[:=](.*)""")
_FLOW = re.compile(r"""[{,][ \t]*["']?([\w .-]{1,80}?)["']?[ \t]*[:=]([^,}]*)""")
_VALUE = re.compile(r"""[ \t]*["']?(.*?)["']?[ \t]*(?:[ \t]#.*)?""")
_BARE = re.compile(r"[?\[ \t]*([^\W\d_]+)")
_IN_BYTES = re.compile(rb'"\s*sensitiv\w*\s*"\s*:', re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\.?\d")
_MARKS = " \t#>*_`~|;<!-+{}/\"'"
"""What may stand around a line that looks like front matter and has no fence."""
_LOOSE = re.compile(r"([^:=|]{1,80}?)[*_`\"' \t]*[:=|]{1,2}[*_`\"' \t|]*([^\W\d_]+)")

_HINT = f"state it as `{_KEY}: LABEL`, a line of its own between lines of ---; rename what is none"
_RECORD_HINT = f'state it as "{_KEY}": LABEL, beside the text; rename what is none'

Likeness = Literal["same", "misspelt", "related", "other_name", "none"]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key of front matter with its value; `outermost` where it stands in no other key."""

    key: str
    value: str
    outermost: bool


def markdown_label(data: bytes) -> Sensitivity | None:
    """Return the label that the front matter of a Markdown file states, if any; the highest of two.

    Raises:
        UnreadableLabel: it states what is no label, or something stands there or near the start of
            the text that was meant as one.
    """
    text = decode_leniently(data)
    front = find_front_matter(text)
    labels = [] if front is None else list(_labels(front))
    if labels:
        return max(labels)
    rest = text if front is None else text[len(front.whole) :]
    for line in rest.split("\n", _HEAD_LINES)[:_HEAD_LINES]:
        _check_loose(line)
    return None


def record_label(record: Mapping[str, Any]) -> Sensitivity | None:
    """Return the label that a JSON object states as `sensitivity`, if any; the highest of two.

    Raises:
        UnreadableLabel: it states what is no label, or a key of it was meant as one.
    """
    labels = []
    for key, value in record.items():
        likeness = _likeness(key)
        if likeness == "same" and value is not None:
            labels.append(_parse(value))
        elif likeness == "misspelt" or (likeness != "same" and _is_doubtful(likeness, value)):
            raise _near(key, _RECORD_HINT)
    for key, value in _inner_pairs(record):
        if _likeness(key) != "none" and _is_doubtful(_likeness(key), value):
            raise _near(key, _RECORD_HINT)
    return max(labels, default=None)


def json_label(data: bytes, *, size_limit_bytes: int) -> Sensitivity | None:
    """Return the label that a JSON file states as `sensitivity` of its outermost object, if any.

    Args:
        size_limit_bytes: a larger file is not parsed for it, and refused where it may state one.

    Raises:
        UnreadableLabel: it states what is no label, or a key of it was meant as one.
    """
    if len(data) > size_limit_bytes:
        if _IN_BYTES.search(data):
            reason = f"{len(data):,} bytes, its label is read up to {size_limit_bytes:,}"
            raise UnreadableLabel(reason, hint="label it by a rule, and take the key out")
        return None
    try:
        value = json.loads(decode_leniently(data))
        return record_label(value if isinstance(value, dict) else {"": value})
    except (ValueError, RecursionError):
        return None  # told when the file is read


def states_label(key: str) -> bool:
    """Return whether a key of a record is the one that labels are read from."""
    return _likeness(key) == "same"


def _labels(front: FrontMatter) -> Iterator[Sensitivity]:
    try:
        for pair in _pairs(front):
            likeness = _likeness(pair.key)
            if likeness == "same" and pair.outermost:
                yield _parse(pair.value)
            elif likeness == "misspelt" or _is_doubtful(likeness, pair.value):
                raise _near(pair.key, _HINT)
    except UnreadableLabel as error:
        raise UnreadableLabel(f"front matter: {error.message}", hint=error.hint) from error


def _pairs(front: FrontMatter) -> Iterator[_Pair]:
    """Yield the keys of front matter, line by line; what no line shows as a key is refused."""
    inside, continues = False, ""
    for line in map(_plain, front.inner.split("\n")):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if continues and line[0] in " \t":
            raise UnreadableLabel(f"{continues!r} goes on in a second line", hint=_HINT)
        header = front.toml and line.lstrip().startswith("[")
        inside = inside or header
        found = None if header else _LINE.match(line)
        continues = ""
        if found:
            value = _VALUE.fullmatch(found[4])
            pair = _Pair(found[3], value[1] if value else found[4], not (found[1] or inside))
            continues = pair.key if _likeness(pair.key) == "same" and pair.outermost else ""
            yield pair
        elif line[0] not in " \t":
            _check_bare(line)
        for key, value_text in _FLOW.findall(line):
            yield _Pair(key, value_text.strip(" \t\"'"), outermost=False)


def _check_bare(line: str) -> None:
    """Refuse a line that begins with the key and gives it no value.

    Raises:
        UnreadableLabel: it does.
    """
    word = _BARE.match(line)
    if word and _likeness(word[1]) in {"same", "misspelt"}:
        raise _near(word[1], _HINT)


def _check_loose(line: str) -> None:
    """Refuse a line that says how sensitive the text is, where nobody would read it.

    Raises:
        UnreadableLabel: it does.
    """
    if len(line) > _LOOSE_CHARACTERS:
        return
    found = _LOOSE.fullmatch(_plain(line).strip(_MARKS))
    if found and _likeness(found[1]) in {"same", "misspelt"}:
        protects = [label.value for label in Sensitivity if label > Sensitivity.PUBLIC]
        if get_close_matches(found[2].casefold(), protects, n=1, cutoff=0.8):
            raise UnreadableLabel(f"{_told(found[1])} stands in no front matter", hint=_HINT)


@lru_cache(maxsize=4096)
def _likeness(key: str) -> Likeness:
    """Return how much a key looks like the one that states a label; dots separate outer keys."""
    if key.strip().casefold() == _KEY:
        return "same"
    letters = "".join(letter for letter in key.rpartition(".")[2].casefold() if letter.isalpha())
    if letters == _KEY:
        return "related"
    if len(letters) <= 2 * len(_KEY) and SequenceMatcher(None, letters, _KEY).ratio() >= _MISSPELT:
        return "misspelt"
    if "sensitiv" in letters:
        return "related"
    return "other_name" if letters in _OTHER_NAMES else "none"


def _is_doubtful(likeness: Likeness, value: object) -> bool:
    """Return whether the value of a key that states no label reads as if it were to state one."""
    if likeness == "none":
        return False
    if likeness in {"same", "misspelt"} and isinstance(value, str):
        return _NUMBER.match(value.strip()) is None
    words = re.findall(r"[^\W\d_]+", str(value).casefold()) if _is_short(value) else []
    known = _PROTECTING if likeness == "other_name" else _OPEN_TO_DOUBT
    return any(get_close_matches(word, known, n=1, cutoff=0.85) for word in words)


def _is_short(value: object) -> bool:
    """Return whether a value may be a label: a few words, or a list of them; texts are not."""
    if isinstance(value, list):
        return len(value) <= len(Sensitivity) and all(map(_is_short, value))
    return isinstance(value, bool) or (isinstance(value, str) and len(value) <= TOLD_CHARACTERS)


def _inner_pairs(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every key below the outermost ones, with its value."""
    waiting = [value for value in record.values() if isinstance(value, dict | list)]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict):
            yield from container.items()
            container = list(container.values())
        waiting.extend(value for value in container if isinstance(value, dict | list))


def _parse(value: object) -> Sensitivity:
    try:
        return parse_sensitivity(value)
    except UnknownSensitivity as error:
        raise UnreadableLabel(error.message, hint=error.hint) from error


def _near(key: str, hint: str) -> UnreadableLabel:
    return UnreadableLabel(f"{_told(key)} may be meant as {_KEY!r}, and is not read", hint=hint)


def _told(key: str) -> str:
    return repr(key.strip()[:TOLD_CHARACTERS])


def _plain(line: str) -> str:
    """Return a line as readers see it: no invisible marks, wide letters and signs as plain ones."""
    if line.isascii():
        return line
    shown = "".join(sign for sign in line if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", shown)
