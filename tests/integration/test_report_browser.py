# SPDX-License-Identifier: GPL-2.0-only
"""The report in a real browser: what a maintainer does with it, and what must never happen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakerun
import pytest
from patience import PATIENCE

from harness.history import histories
from harness.model import Outcome
from harness.publish import html as report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RESULT = histories.PastResult(
    histories.KernelInRun(
        "a1", 1e9, "run", "patched", 0, fakerun.EVIL, 1, "v7.2", "c0ffee", "7.2", "k", "tcg", "/x"
    ),
    1e9,
    Outcome.PASS,
    1.0,
    (),
)
HISTORY = histories.TestHistory(
    *("t", 3, {Outcome.PASS: 3}, RESULT, (RESULT,), None, None, RESULT),
    *(histories.Flakes.of(()), histories.Trend.of(())),
)
CRASH = "details.failure:has-text('test_crash')"


def _absent(what: str) -> None:
    """Skip the tests where a developer has no browser; in CI that is an error."""
    if os.environ.get("HARNESS_CI"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed: apt install chromium, pip install playwright")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        _absent("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _absent("playwright")
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000
        )
        yield one
        one.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    fakerun.make(folder)
    check = fakerun.check(tmp_path_factory.mktemp("check"), checks=14)
    place = folder / "report.html"
    report.write(report.page(folder, lambda tests: dict.fromkeys(tests, HISTORY), check), place)
    return place


class Looked:
    """A page, with its errors and its network requests."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.said: list[str] = []
        self.page.on("console", lambda one: self.said.append(one.text))
        self.page.on("pageerror", lambda one: self.said.append(str(one)))
        self.asked: list[str] = []
        self.page.on("request", lambda one: self.asked.append(one.url))
        self.page.goto(file.as_uri())

    def says(self, selector: str, words: str) -> None:
        """Wait until a part of the page says something; what it says then is a failure."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_text(words, timeout=PATIENCE * 1000)

    def counts(self, words: str) -> None:
        """Wait for what the filter says it found."""
        self.says("#count", words)

    def shown(self, selector: str) -> int:
        return sum(one.is_visible() for one in self.page.locator(selector).all())


@pytest.fixture
def look(browser: Any, file: Path) -> Iterator[Any]:
    opened: list[Looked] = []

    def look(where: Path = file, **options: Any) -> Looked:
        opened.append(Looked(browser, where, **options))
        return opened[-1]

    yield look
    for one in opened:
        assert one.said == []
        assert not [url for url in one.asked if not url.startswith(("file:", "data:"))]
        assert one.page.evaluate("window.stolen") is None
        one.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1000, 1800])
def test_nothing_is_wider_than_the_window(look: Any, width: int, scheme: str) -> None:
    one = look(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one.page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert one.page.evaluate("document.documentElement.scrollWidth") == width
    # A failure cuts off what is too wide for it, which then shows nowhere.
    cut = """() => [...document.querySelectorAll('main *')].filter(one =>
        !one.closest('.scroll, pre, svg, .sr') && one.getBoundingClientRect().right > innerWidth
    ).map(one => one.textContent)"""
    assert one.page.evaluate(cut) == []


def test_the_verdict_is_visible_first(look: Any) -> None:
    one = look(viewport={"width": 400, "height": 700})
    box = one.page.locator("h1").bounding_box()
    assert one.page.locator("h1 .word").inner_text() == "BAD"
    assert box["y"] < 100


def test_words_filter_tests_and_failures(look: Any) -> None:
    one = look()
    one.page.fill("#words", "fixed demo")
    one.counts("1 of 5 tests")
    assert one.shown(".tests tbody tr") == 1
    assert one.shown("#own > details.failure") == 0


def test_an_outcome_filters_and_all_shows_all(look: Any) -> None:
    one = look()
    one.page.click("button[data-outcome=crash]")
    assert one.page.get_attribute("button[data-outcome=crash]", "aria-pressed") == "true"
    one.counts("1 of 5 tests")
    assert one.shown("#own > details.failure") == 1
    one.page.click("button[data-outcome=skip]")
    one.counts("2 of 5 tests")
    one.page.click("button[type=reset]")
    one.counts("5 tests")
    assert one.shown("#own > details.failure") == 2


def test_changed_filters_what_the_series_changed(look: Any) -> None:
    one = look()
    one.page.click("button[data-changed]")
    one.counts("3 of 5 tests")


def test_a_link_in_the_table_opens_the_failure(look: Any) -> None:
    one = look()
    one.page.eval_on_selector_all(
        CRASH.split(":")[0], "all => all.forEach(d => { d.open = false; })"
    )
    one.page.click(".tests a.crash")
    assert one.page.locator(CRASH).get_attribute("open") is not None
    assert one.page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_link_to_a_hidden_failure_shows_it(look: Any, file: Path) -> None:
    one = look()
    anchor = one.page.locator(".before details.failure").first.get_attribute("id")
    one.page.goto(f"{file.as_uri()}#{anchor}")
    assert one.page.locator(f"#{anchor} .body").is_visible()


def test_every_link_leads_somewhere(look: Any) -> None:
    one = look()
    dead = """all => all.map(one => one.getAttribute('href')).filter(
        href => href.startsWith('#') && !document.getElementById(href.slice(1)))"""
    assert one.page.locator("a[href]").count() > 10
    assert one.page.eval_on_selector_all("a[href]", dead) == []


def test_keys_walk_through_the_failures(look: Any) -> None:
    one = look()
    one.page.keyboard.press("j")
    first = one.page.evaluate("document.activeElement.parentElement.id")
    one.page.keyboard.press("j")
    second = one.page.evaluate("document.activeElement.parentElement.id")
    assert first.startswith("f-")
    assert second not in (first, "")
    one.page.keyboard.press("k")
    assert one.page.evaluate("document.activeElement.parentElement.id") == first
    before = one.page.locator(f"#{first}").get_attribute("open")
    one.page.keyboard.press("o")
    assert one.page.locator(f"#{first}").get_attribute("open") != before


def test_the_slash_goes_to_the_words_and_escape_clears(look: Any) -> None:
    one = look()
    one.page.keyboard.press("/")
    one.page.keyboard.type("evil")
    one.counts("1 of 5 tests")
    one.page.keyboard.press("Escape")
    one.counts("5 tests")
    assert one.page.input_value("#words") == ""


def test_focus_is_visible(look: Any) -> None:
    one = look()
    one.page.keyboard.press("Tab")
    assert one.page.evaluate("document.activeElement.textContent") == "Skip to the report"
    one.page.keyboard.press("Tab")
    width = one.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width == "3px"


def test_the_command_is_copied(look: Any) -> None:
    one = look(permissions=["clipboard-read", "clipboard-write"])
    one.page.locator(CRASH).locator("button.copy").click()
    one.says("#said", "Copied")


def test_the_page_works_without_scripts(look: Any, browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert "double-free" in page.locator(CRASH).inner_text()
    assert page.locator(".tests tbody tr").count() == 5
    assert not page.locator("#filter").is_visible()
    context.close()


def test_regions_and_headings_have_names(look: Any) -> None:
    one = look()
    for role in ("banner", "navigation", "main", "contentinfo", "search"):
        assert one.page.get_by_role(role).count() == 1, role
    assert one.page.locator("h1").count() == 1
    unnamed = "all => all.filter(one => !one.getAttribute('aria-label')).length"
    assert one.page.eval_on_selector_all("[role=group]", unnamed) == 0
    headless = "all => all.filter(one => !one.querySelector('th')).map(one => one.className)"
    assert set(one.page.eval_on_selector_all("table", headless)) <= {"diff"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_accessibility_problems(browser: Any, file: Path, scheme: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        _absent("axe-playwright-python")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    found = Axe().run(page).response["violations"]
    context.close()
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_on_paper_the_failures_are_open(look: Any) -> None:
    one = look()
    one.page.eval_on_selector_all("details", "all => all.forEach(d => { d.open = false; })")
    one.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    one.page.emulate_media(media="print")
    assert one.page.locator(CRASH).locator(".body").is_visible()
    assert not one.page.locator("nav").is_visible()
    one.page.set_viewport_size({"width": 800, "height": 1000})
    assert one.page.evaluate("document.documentElement.scrollWidth") == 800


def test_ten_thousand_tests_can_be_filtered(look: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fakerun.make(folder, number=10_000, bad=fakerun.failing(600, 200))
    place = tmp_path / "report.html"
    size = report.write(report.page(folder), place)
    assert size < 40_000_000
    one = look(place)
    one.page.fill("#words", "[4711-")
    one.counts("1 of 10605 tests")
    assert one.shown("details.group") == 1
