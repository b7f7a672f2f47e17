"""Writes a comparison as one HTML file that opens from disk and asks no network for anything.

The page holds its figures and texts as JSON in an element that no browser executes; its own script
writes them as text. The policy in its head allows that script and that style by their hashes, and
nothing else: no other script, no image, no request.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from chunking.counters import well_formed
from chunking.errors import InputError
from eval.comparison import Comparison
from eval.html.findings import find
from eval.html.questions import Asked, Cut, choose_questions, read_questions, set_question
from eval.html.receipts import Held, Shown
from eval.html.sections import describe_run, make_sections
from eval.written import write_text

SIZE_LIMIT = 2_000_000
"""Bytes of a report at most; what does not fit is left out, and the page says so."""
_SCRIPTS = ("page.js", "charts.js", "questions.js")
_NOTHING = Shown(0, 0)
CUTS = (
    Cut(agreed=Shown(40, 600), disagreed=Shown(40, 600), text=8_000),
    Cut(agreed=Shown(12, 300), disagreed=Shown(40, 600), text=8_000),
    Cut(agreed=Shown(4, 120), disagreed=Shown(40, 600), text=4_000),
    Cut(agreed=_NOTHING, disagreed=Shown(40, 300), text=4_000),
    Cut(agreed=_NOTHING, disagreed=Shown(24, 300), text=4_000),
    Cut(agreed=_NOTHING, disagreed=Shown(16, 120), text=2_000),
    Cut(agreed=_NOTHING, disagreed=Shown(8, 120), text=2_000),
    Cut(agreed=_NOTHING, disagreed=Shown(4, 60), text=1_000),
    Cut(agreed=_NOTHING, disagreed=Shown(4, 60), text=600),
    Cut(agreed=_NOTHING, disagreed=_NOTHING, text=600),
    Cut(agreed=_NOTHING, disagreed=_NOTHING, text=300),
)
"""What a page keeps of its questions, the most first: the first that fits is taken."""


def write_report(comparison: Comparison, path: Path) -> None:
    """Write the report of a comparison; a process that dies leaves what was there before.

    Raises:
        InputError: it cannot be written, holds no arm, or is too large without any question.
    """
    write_text(render_report(comparison), path)


def render_report(comparison: Comparison) -> str:
    """Return the HTML of a report; the same comparison gives the same text, byte for byte.

    Raises:
        InputError: the comparison holds no arm, or more figures than a page has room for.
    """
    if not comparison.arms:
        raise InputError("the comparison holds no arm", hint="give one that has been run")
    asked = read_questions(comparison)
    figures = _figures(comparison)
    size = 0
    for cut in _cuts(len(asked)):
        html = _assemble({**figures, **_questions(asked, cut)})
        size = len(html.encode())
        if size <= SIZE_LIMIT:
            return html
    raise InputError(
        f"the report would have {size:,} bytes without any question, at most {SIZE_LIMIT:,}",
        hint="compare fewer arms, or questions of fewer types",
    )


def _cuts(count: int) -> Iterator[Cut]:
    """Yield what to keep, less each time; at last fewer and fewer questions."""
    yield from CUTS
    while count:
        count //= 2
        yield Cut(_NOTHING, _NOTHING, text=300, questions=count)


def _figures(comparison: Comparison) -> dict[str, Any]:
    """Return what the page holds beside its questions."""
    run, found = comparison.run, find(comparison)
    names = [arm.arm for arm in comparison.arms]
    count = len(comparison.questions)
    return {
        "title": f"{', '.join(names)}: {count:,} questions of {run.questions_file} about "
        f"{run.collection}, {run.finished_at:%Y-%m-%d}",
        "finding": {
            "headline": found.headline,
            "points": found.points,
            "cautions": found.cautions,
        },
        "arms": [{"name": name} for name in names],
        "sections": list(make_sections(comparison)),
        "about": [describe_run(comparison)],
    }


def _questions(asked: list[Asked], cut: Cut) -> dict[str, Any]:
    """Return the questions that the page holds, and what it says of those and that it does not."""
    held = Held()
    chosen = choose_questions(asked, cut.questions)
    questions = [set_question(one, cut=cut, held=held) for one in chosen]
    return {
        "questions": questions,
        "strings": list(held.places),
        "fields": held.fields,
        "remarks": list(_remarks(len(asked) - len(chosen), cut, held)),
    }


def _remarks(left: int, cut: Cut, held: Held) -> Iterator[str]:
    """Yield what the page leaves out, in words."""
    yield (
        "This file asks no network for anything. Of candidates it keeps rank, headings, tokens and "
        "fate; their spans, scores and ids are in the JSON of the comparison."
    )
    if left:
        yield (
            f"{left:,} questions are left out, those on which the arms agree before others; the "
            "figures are those of all questions."
        )
    if held.unlisted:
        yield (
            f"Of receipts, {held.unlisted:,} candidates are counted by fate and not listed, so "
            f"that the file stays below {SIZE_LIMIT / 1e6:.0f} MB: at most {cut.agreed.entries} "
            f"are listed for an answer where all arms are right or all wrong, else "
            f"{cut.disagreed.entries}."
        )
    if held.cut:
        yield f"{held.cut:,} questions, answers and quotations are cut, and say so."


def _assemble(page: dict[str, Any]) -> str:
    """Return the document; no text of the page can end the element that holds it."""
    data = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
    script = "\n".join(_read(name) for name in _SCRIPTS)
    style = _read("page.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>Windowfit: a comparison</title>\n<style>{style}</style>\n</head>\n<body>\n"
        "<noscript>This page draws itself from the figures it holds; that takes JavaScript."
        "</noscript>\n"
        f'<script type="application/json" id="comparison">{_escape(data)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _escape(data: str) -> str:
    """Return JSON that says the same and holds no `<`, so that no tag can begin in it."""
    escaped = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return well_formed(escaped)


def _read(name: str) -> str:
    return files("eval.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return a source expression of a content security policy: the text's digest."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
