from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.errors import InputError
from eval.compare import finish_comparison
from eval.comparison import Comparison
from eval.report import SIZE_LIMIT, render_report, write_report
from tests.unit.eval.comparisons import CLOUD, example_comparison
from tests.unit.eval.crowded_comparisons import crowded

pytest.importorskip("scipy", reason="needs the extra `eval`")

HOSTILE = "</script </script/</script><img src=x onerror=alert(1)><!--<script>]]>\u2028\ud800&lt;"


class Elements(HTMLParser):
    """The elements of a page as a parser sees them, with the text of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[len(self.tags)] = self.texts.get(len(self.tags), "") + data

    def all_of(self, name: str) -> list[tuple[dict[str, str | None], str]]:
        return [
            (attributes, self.texts.get(place, ""))
            for place, (tag, attributes) in enumerate(self.tags, start=1)
            if tag == name
        ]


def data_of(html: str) -> dict[str, Any]:
    held = [text for attributes, text in Elements(html).all_of("script") if "id" in attributes]
    assert len(held) == 1
    page: dict[str, Any] = json.loads(held[0])
    for question in page["questions"]:
        question["answers"] = [unpack(row, page["fields"]) for row in question["answers"]]
    return page


def unpack(row: list[Any] | None, fields: dict[str, list[str]]) -> dict[str, Any] | None:
    if row is None:
        return None
    answer = dict(zip(fields["answer"], row, strict=True))
    if answer["receipt"]:
        answer["receipt"] = dict(zip(fields["receipt"], answer["receipt"], strict=True))
    return answer


def asked(text: str, answer: str | None = None) -> Comparison:
    """Return a comparison whose questions, and answers, are a text."""
    example = example_comparison()
    questions = tuple(replace(one, question=text) for one in example.questions)
    cells = tuple(replace(one, answer=text if answer is None else answer) for one in example.cells)
    return replace(example, questions=questions, cells=cells)


def test_a_page_holds_one_style_and_one_script_which_its_policy_names_by_hash() -> None:
    found = Elements(render_report(example_comparison()))
    scripts, styles = found.all_of("script"), found.all_of("style")
    policy = next(
        str(attributes["content"])
        for attributes, _ in found.all_of("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )

    assert [attributes for attributes, _ in scripts] == [
        {"type": "application/json", "id": "comparison"},
        {},
    ]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for rule, text in (("script-src", scripts[1][1]), ("style-src", styles[0][1])):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in policy


def test_a_page_names_nothing_to_fetch() -> None:
    html = render_report(example_comparison())
    script = Elements(html).all_of("script")[1][1]

    assert not re.findall(r"\b(?:src|href|srcset|action|data)=", html.split("<body>")[0])
    assert re.findall(r"https?://[^\s\"']+", script) == ["http://www.w3.org/2000/svg"]
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)


@settings(max_examples=25)
@given(st.text() | st.just(HOSTILE))
def test_any_text_comes_out_as_it_went_in_and_makes_no_element(text: str) -> None:
    plain = Elements(render_report(asked("plain", "plain"))).tags
    html = render_report(asked(text, text))

    assert Elements(html).tags == plain
    assert "<" not in html.split('id="comparison">')[1].split("</script>\n<script>")[0]
    said = data_of(html)["questions"][0]["text"]
    assert said == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_the_same_comparison_gives_the_same_page() -> None:
    assert render_report(example_comparison()) == render_report(example_comparison())


def test_a_report_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_report(example_comparison(), path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_report(example_comparison(copies=2), path)

    assert path.read_bytes() == before == render_report(example_comparison()).encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_small_comparison_is_held_whole() -> None:
    page = data_of(render_report(example_comparison(copies=5)))

    assert len(page["questions"]) == 30
    assert all(
        answer["receipt"]["unlisted"] == 0
        for question in page["questions"]
        for answer in question["answers"]
        if answer["receipt"]
    )
    assert len(page["remarks"]) == 1


def test_five_hundred_questions_of_four_arms_fit_and_the_page_says_what_is_left_out(
    record_property: Any,
) -> None:
    comparison = crowded(500, entries=37, words=40)
    begin = time.perf_counter()
    html = render_report(comparison)
    seconds = time.perf_counter() - begin
    page = data_of(html)

    assert len(html.encode()) <= SIZE_LIMIT
    assert len(page["questions"]) == 500
    unlisted = [
        (len({answer["right"] for answer in one["answers"]}) == 1, answer["receipt"]["unlisted"])
        for one in page["questions"]
        for answer in one["answers"]
    ]
    assert min(count for agreed, count in unlisted if agreed) > max(
        count for agreed, count in unlisted if not agreed
    )
    assert any("counted by fate and not listed" in told for told in page["remarks"])
    record_property("figure", f"500 questions, 4 arms: {len(html):,} bytes in {seconds:.1f} s")


def test_what_cannot_fit_is_left_out_by_questions_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eval.report.SIZE_LIMIT", 200_000)
    html = render_report(crowded(200, entries=1, words=80))
    page = data_of(html)
    left = 200 - len(page["questions"])

    assert len(html.encode()) <= 200_000
    assert 0 < left < 200
    assert any(f"{left} questions are left out" in told for told in page["remarks"])


def test_figures_that_do_not_fit_without_any_question_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eval.report.SIZE_LIMIT", 10_000)

    with pytest.raises(InputError, match=r"without any question, at most 10,000"):
        render_report(example_comparison())


def test_a_comparison_without_arms_is_refused() -> None:
    with pytest.raises(InputError, match="no arm"):
        render_report(replace(example_comparison(), arms=(), pairs=()))


def test_an_unfinished_comparison_of_one_arm_has_a_page() -> None:
    example = example_comparison()
    run = replace(example.run, arms=(CLOUD,))
    cells = [one for one in example.cells if one.arm == CLOUD.name][:4]
    page = data_of(render_report(finish_comparison(run, example.questions, cells)))

    assert [section["id"] for section in page["sections"]] == [
        "summary",
        "accuracy",
        "latency",
        "cost",
        "break-even",
        "sight",
        "quality",
    ]
    assert [one["answers"][0] is None for one in page["questions"]] == [False] * 4 + [True] * 2
