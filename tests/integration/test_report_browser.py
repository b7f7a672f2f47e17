"""A report as a reader sees it, in a real Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from eval.comparison import Comparison
from eval.report import write_report
from tests.unit.eval.comparisons import example_comparison
from tests.unit.eval.crowded_comparisons import crowded

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

pytest.importorskip("scipy", reason="needs the extra `eval`")

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()
HOSTILE = (
    "</script ><img src=x></script><img src=x onerror=alert(1)><script>alert(2)</script>"
    "&lt;b&gt;\u202e"
)
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@dataclass
class Seen:
    """A page with everything that it asked for and complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def refuse(self, dialog: Dialog) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def open_question(self, place: int) -> Any:
        row = self.page.locator("details.question").nth(place)
        row.locator(":scope > summary").click()
        row.locator(".side").first.wait_for()
        return row

    @property
    def shown(self) -> int:
        return self.page.locator("details.question:visible").count()


def do_without(what: str) -> NoReturn:
    """Skip what cannot be looked at here; CI installs all that it takes, so there it fails."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        do_without("no Chromium is installed: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        do_without("playwright is not installed: pip install -e '.[dev]'")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    comparison: Comparison,
    folder: Path,
    *,
    width: int = 1280,
    scheme: Any = "light",
) -> Iterator[Seen]:
    """Open the report of a comparison from disk."""
    path = folder / "report.html"
    write_report(comparison, path)
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    seen = Seen(context.new_page())
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("console", lambda told: seen.complaints.append(told.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("dialog", seen.refuse)
    seen.page.goto(path.as_uri())
    seen.page.wait_for_selector(".canvas svg")
    yield seen
    assert seen.requests == [path.as_uri()]
    assert seen.complaints == []
    context.close()


def hostile() -> Comparison:
    """Return a comparison in which every text is markup that would like to run."""
    example = example_comparison()

    def spoil(name: str) -> str:
        return f"{name}{HOSTILE}"

    run = replace(
        example.run,
        arms=tuple(
            replace(one, name=spoil(one.name), stand_in=HOSTILE) for one in example.run.arms
        ),
        questions_file=HOSTILE,
        collection=HOSTILE,
    )
    questions = tuple(
        replace(one, question=HOSTILE, type=HOSTILE, expected=HOSTILE) for one in example.questions
    )
    cells = []
    for one in example.cells:
        report = dict(one.report)
        report["entries"] = [
            {**entry, "breadcrumb": HOSTILE} for entry in report.get("entries", ())
        ]
        citations = tuple(
            {**cited, "text": HOSTILE, "breadcrumb": HOSTILE, "source": HOSTILE}
            for cited in one.citations
        )
        changes: dict[str, Any] = {"arm": spoil(one.arm), "answer": HOSTILE, "doubt": HOSTILE}
        changes |= {"report": report if one.report else {}, "citations": citations}
        cells.append(replace(one, **changes))
    arms = tuple(
        replace(one, arm=spoil(one.arm), by_type={HOSTILE: one.accuracy}) for one in example.arms
    )
    pairs = tuple(
        replace(one, first=spoil(one.first), second=spoil(one.second)) for one in example.pairs
    )
    return replace(
        example, run=run, questions=questions, cells=tuple(cells), arms=arms, pairs=pairs
    )


def test_a_report_opens_from_disk_and_asks_for_nothing(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, example_comparison(copies=10), tmp_path) as seen:
        seen.open_question(4)
        seen.page.wait_for_timeout(300)

        assert "41 of 60" in seen.page.locator(".headline").inner_text().replace("\u00a0", " ")
        assert seen.page.title().endswith("Windowfit")
        assert seen.page.locator(".canvas svg[role=img][aria-label]").count() >= 7
        assert seen.page.locator("h1").count() == 1


def test_even_a_script_of_the_page_could_reach_no_server(browser: Browser, tmp_path: Path) -> None:
    hits: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        path = tmp_path / "report.html"
        write_report(example_comparison(), path)
        page = browser.new_page()
        page.goto(path.as_uri())
        url = f"http://127.0.0.1:{server.server_address[1]}"
        sent = page.evaluate(
            "url => fetch(url + '/fetched').then(() => 'sent', () => 'refused')", url
        )
        page.evaluate(
            """url => { for (const tag of ["img", "script", "iframe"]) {
                 const made = document.createElement(tag);
                 made.src = url + "/" + tag;
                 document.body.append(made);
               }
               const markup = "<img src=x onerror='window.ran = 1'>";
               document.body.insertAdjacentHTML("beforeend", markup); }""",
            url,
        )
        page.wait_for_timeout(500)
        ran = page.evaluate("window.ran")
        page.close()
        server.shutdown()

    assert (sent, hits, ran) == ("refused", [], None)


def test_hostile_texts_stay_text(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, hostile(), tmp_path) as seen:
        row = seen.open_question(0)

        assert row.locator(".asked").text_content() == HOSTILE
        assert row.locator(".expected").text_content() == HOSTILE
        assert row.locator(".given").all_text_contents() == [HOSTILE] * 3
        assert HOSTILE in (row.locator(".cited").first.text_content() or "")
        assert seen.page.locator("img, iframe, object, embed, b").count() == 0
        assert seen.page.locator("script").count() == 2


def test_a_question_is_opened_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, example_comparison(copies=2), tmp_path) as seen:
        keyboard = seen.page.keyboard
        focused = "document.activeElement.matches('details.question > summary')"
        for _ in range(60):
            keyboard.press("Tab")
            if seen.page.evaluate(focused):
                break
        assert seen.page.evaluate(focused)
        ring = "getComputedStyle(document.activeElement).outlineStyle"
        assert seen.page.evaluate(ring) == "solid"

        keyboard.press("Enter")
        row = seen.page.locator("details.question[open]")
        row.locator(".side").first.wait_for()
        assert row.count() == 1
        assert row.locator(".side").count() == 3
        assert row.locator(".window").count() == 3

        keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.matches('.entries > summary')")
        keyboard.press("Space")
        assert "kept [1]" in row.locator(".entries[open]").inner_text()


def test_both_receipts_stand_side_by_side_and_add_up(browser: Browser, tmp_path: Path) -> None:
    comparison = example_comparison()
    with opened(browser, comparison, tmp_path) as seen:
        row = seen.open_question(0)
        tops = {
            round(side["y"]) for side in (one.bounding_box() for one in row.locator(".side").all())
        }
        legends = row.locator(".parts").all_inner_texts()

    assert len(tops) == 1
    for legend, cell in zip(legends, comparison.cells[:3], strict=True):
        tokens = [int(part.split()[-1].replace(",", "")) for part in legend.splitlines() if part]
        assert sum(tokens) == cell.report["window"]


def test_questions_are_filtered_by_type_verdict_words_and_disagreement(
    browser: Browser, tmp_path: Path
) -> None:
    comparison = example_comparison(copies=10)
    correct = {(cell.question, cell.arm): cell.score.correct for cell in comparison.cells}
    arms = [arm.arm for arm in comparison.arms]
    verdicts = {one.id: [correct[one.id, arm] for arm in arms] for one in comparison.questions}
    with opened(browser, comparison, tmp_path) as seen:
        filters = seen.page.locator(".filters")
        assert seen.shown == 60

        filters.get_by_label("Type").select_option("comparison")
        assert seen.shown == 10
        filters.get_by_role("button").click()
        filters.get_by_label(arms[0]).select_option("wrong")
        assert seen.shown == sum(not right[0] for right in verdicts.values())
        filters.get_by_label(arms[1]).select_option("right")
        both = [right for right in verdicts.values() if right[1] and not right[0]]
        assert seen.shown == len(both) == comparison.pairs[0].second_only
        filters.get_by_role("button").click()
        filters.get_by_label("arms disagree").check()
        assert seen.shown == sum(len(set(right)) > 1 for right in verdicts.values())
        filters.get_by_role("button").click()
        filters.get_by_label("Words in the question").fill("panama")
        assert seen.shown == 10
        assert seen.page.get_by_role("status").inner_text() == "10 of 60 questions shown"
        filters.get_by_role("button").click()
        filters.get_by_label(arms[1]).select_option("open")
        assert seen.shown == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out_from_what_is_behind_them(
    browser: Browser, tmp_path: Path, scheme: str, record_property: Any
) -> None:
    with opened(browser, crowded(12, entries=6, words=9), tmp_path, scheme=scheme) as seen:
        for place in range(3):
            seen.open_question(place).locator(".entries > summary").first.click()
        measured = seen.page.evaluate(CONTRAST)
        seen.page.evaluate("document.documentElement.style.setProperty('--muted', '#888')")
        faint = seen.page.evaluate(CONTRAST)

    least = {kind: min(found, key=lambda one: one["ratio"]) for kind, found in measured.items()}
    assert len(measured["text"]) > 300
    assert len(measured["marks"]) > 100
    assert [one for one in measured["text"] if one["ratio"] < one["wanted"]] == []
    assert [one for one in measured["marks"] if one["ratio"] < 3] == []
    assert scheme == "dark" or any(one["ratio"] < one["wanted"] for one in faint["text"])
    ratios = ", ".join(f"{kind} {one['ratio']:.2f}" for kind, one in least.items())
    record_property("figure", f"least contrast, {scheme}: {ratios}")


@pytest.mark.parametrize("width", [320, 390, 768, 1920])
def test_nothing_sticks_out_of_a_screen(browser: Browser, tmp_path: Path, width: int) -> None:
    with opened(browser, example_comparison(copies=2), tmp_path, width=width) as seen:
        seen.open_question(1).locator(".entries > summary").first.click()

        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        # What has to be scrolled can be reached by keyboard, and what does not is no stop.
        seen.page.wait_for_function(
            """() => [...document.querySelectorAll(".scroll")].filter(one => one.checkVisibility())
                 .every(one => (one.scrollWidth > one.clientWidth + 1) === (one.tabIndex === 0))"""
        )


def test_a_report_can_be_printed(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, example_comparison(copies=2), tmp_path, scheme="dark") as seen:
        seen.open_question(1)
        printed = seen.page.pdf(format="A4")
        seen.page.emulate_media(media="print", color_scheme="light")

        assert printed.startswith(b"%PDF")
        assert not seen.page.locator(".filters").is_visible()
        assert not seen.page.locator("nav").is_visible()
        assert seen.page.locator(".given").first.is_visible()


def test_a_large_report_opens_and_is_drilled_into(
    browser: Browser, tmp_path: Path, record_property: Any
) -> None:
    with opened(browser, crowded(500, entries=37, words=40), tmp_path, width=1280) as seen:
        path = tmp_path / "report.html"
        ready = seen.page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
        row = seen.open_question(499)

        assert path.stat().st_size <= 2_000_000
        assert row.locator(".side").count() == 4
        assert (
            seen.page.locator("footer").get_by_text("counted by fate and not listed").count() == 1
        )
        record_property("figure", f"{path.stat().st_size:,} bytes shown after {ready:.0f} ms")


def test_an_address_with_the_id_of_a_question_opens_it(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, example_comparison(), tmp_path) as seen:
        seen.page.evaluate("location.hash = '#question-set-1'")
        seen.page.wait_for_selector("#question-set-1[open] .side")

        assert seen.page.locator("details.question[open]").count() == 1
        assert "Panama" in seen.page.locator("details.question[open]").inner_text()


def test_an_address_with_a_number_opens_the_question_of_that_id_and_no_other(
    browser: Browser, tmp_path: Path
) -> None:
    made = example_comparison()
    ids = dict(
        zip((one.id for one in made.questions), ("5", "2", "é 1", "%", "4", "1"), strict=True)
    )
    renamed = replace(
        made,
        questions=tuple(replace(one, id=ids[one.id]) for one in made.questions),
        cells=tuple(replace(one, question=ids[one.question]) for one in made.cells),
    )
    with opened(browser, renamed, tmp_path) as seen:
        for address, words in (("5", "Brazil"), ("%C3%A9%201", "Panama"), ("%", "Lesotho")):
            seen.page.evaluate(f"location.hash = '#question-{address}'")
            row = seen.page.locator("details.question[open]").filter(has_text=words)
            row.locator(".side").first.wait_for()
        assert seen.page.locator("details.question[open]").count() == 3
