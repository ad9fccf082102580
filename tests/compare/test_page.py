"""The page in a real browser: it opens offline, fetches nothing, fits a phone, and says the verdict first."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lasthop.compare.page import page, typeset
from lasthop.compare.results import Results
from lasthop.compare.verdict import judge
from tests.compare.made import BURSTS, CELLS, SAME, TCP, UNIX, WIN, Noise, Truth, cell, made

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NOISE = Noise()
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m{{ 7*7 }}'
MANY = {
    f"{front}, {link}, {'kept alive' if keep else 'a connection a request'}": cell(
        link, front=front, keep_alive=keep
    )
    for front in ("nginx", "caddy")
    for keep in (True, False)
    for link in ("unix", "tcp", "tcp6")
}
OPEN = {link: cell(link, rate=2_000.0, front="direct") for link in ("unix", "tcp")}


def hostile() -> Results:
    """A comparison in which everything that can come from outside is evil."""
    evil = {f"{EVIL} {link}": cell(link, target=EVIL, server=EVIL, front=EVIL) for link in ("unix", "tcp")}
    results = made({**evil, TCP: CELLS[TCP]}, {}, noise=NOISE, missing={TCP: EVIL})
    results.problems.append(EVIL)
    results.ended = EVIL
    results.request["headers"] = [[EVIL, EVIL]]
    results.environment |= {
        EVIL: EVIL,
        "processor": EVIL,
        "kernel": EVIL,
        "begun": EVIL,
        "settings": {EVIL: EVIL},
    }
    for round_ in results.rounds:
        for each in round_.cells.values():
            each.errors[EVIL] = 1
    return results


@cache
def kinds() -> dict[str, Results]:
    return {
        "win": made(CELLS, WIN, noise=NOISE, bursts=BURSTS),
        "same": made(CELLS, SAME, noise=NOISE),
        "broken": made(
            CELLS,
            {**WIN, UNIX: Truth(failing=0.5)},
            noise=NOISE,
            missing={TCP: "nginx does not start\n  why"},
        ),
        "one": made({UNIX: CELLS[UNIX]}, WIN, noise=NOISE),
        "open": made(OPEN, {"unix": Truth(30_000), "tcp": Truth(20_000, 13.0)}, noise=NOISE),
        "many": made(MANY, {name: Truth(front_us=20.0) for name in MANY}, rounds=100, noise=NOISE),
        "few": made(CELLS, WIN, rounds=2),
        "nothing": made(CELLS, WIN, rounds=0),
        "empty": made({}, {}),
        "hostile": hostile(),
    }


KINDS = list(kinds())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("pages")
    found = {}
    for name, results in kinds().items():
        found[name] = directory / f"{name}.html"
        found[name].write_text(page(results, judge(results)))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_one_small_file_without_scripts_or_links_to_elsewhere(
    kind: str, pages: dict[str, Path]
) -> None:
    text = pages[kind].read_text()
    assert len(text.encode()) < 2_000_000
    assert not re.search(
        r"<script|<link rel=\"stylesheet|@import|url\(|src=\"?http|href=\"?http", text.replace(EVIL, "")
    )


def test_what_comes_from_outside_is_escaped(pages: dict[str, Path]) -> None:
    text = pages["hostile"].read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "{{ 7*7 }}" in text
    assert EVIL.split("\x1b")[0] in unescape(text)


def test_figures_are_kept_together_and_escaped() -> None:
    assert '&lt;b&gt; <span class="whole">[1.18</span>' not in str(typeset("<b> [1.18]"))
    assert '&lt;b&gt; <span class="whole">[1.18]</span> of <span class="whole">6.7 %</span>' == str(
        typeset("<b> [1.18] of 6.7 %")
    )


def test_the_same_results_make_the_same_page() -> None:
    results = made(CELLS, WIN, noise=NOISE, bursts=BURSTS)
    assert page(results, judge(results)) == page(results, judge(results))


def test_kernel_times_that_the_system_does_not_tell_leave_whole_bars() -> None:
    results = made(CELLS, WIN)
    for round_ in results.rounds:
        for name, each in round_.cells.items():
            bare = dataclasses.replace(each.server, kernel_us=None, switches=None, calls=None)
            round_.cells[name] = dataclasses.replace(each, server=bare)
    text = page(results, judge(results))
    assert "k-server-all" in text
    assert "k-server-kernel" not in text.partition("</style>")[2].partition('id="burst"')[0]


# In the browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_offline_without_a_complaint_and_fits(
    browser: Browser, pages: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        offline=True,
    )
    try:
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(pages[kind].as_uri())
        assert [] == complaints
        assert [pages[kind].as_uri()] == [url for url in asked if not url.startswith("data:")]
        for opened in (False, True):
            if opened:
                tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert width >= tab.evaluate("document.documentElement.scrollWidth")
        heading = tab.locator("h1, h2, h3").first
        assert judge(kinds()[kind]).headline == heading.inner_text()
        assert "H1" == heading.evaluate("element => element.tagName")
    finally:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    """WCAG AA: 4.5 to 1, for every text on the page."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        tab = context.new_page()
        for kind in ("win", "broken", "same"):
            tab.goto(pages[kind].as_uri())
            assert [] == tab.evaluate(CONTRAST)
    finally:
        context.close()


def test_every_picture_has_a_text_and_every_table_its_heads(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context()
    try:
        tab = context.new_page()
        tab.goto(pages["win"].as_uri())
        assert 0 == tab.locator("svg:not([aria-hidden]):not([role=img][aria-label])").count()
        assert 0 == tab.locator("table:not(:has(thead th[scope=col]))").count()
        assert "en" == tab.locator("html").get_attribute("lang")
        assert 2 == tab.locator("svg[aria-label*='refused: 903'], svg[aria-label*='answered: 5,120']").count()
    finally:
        context.close()


CONTRAST = """() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('svg')) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(walker.currentNode.data.trim());
  }
  return found;
}"""
