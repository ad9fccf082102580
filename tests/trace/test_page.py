"""The page in a real browser: it opens offline, a person steps through it, it fits a phone, and nothing that was captured runs in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lasthop.trace.page import page, steps, wrappings
from lasthop.trace.results import LinkTrace, Trace
from lasthop.trace.tracing import trace
from tests.compare.test_page import CONTRAST
from tests.trace.test_frames import needs_capture
from tests.trace.test_tracing import MIB, PLAN, needs_strace, posting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [needs_capture, needs_strace]
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m{{ 7*7 }}'


def hostile(plain: Trace) -> Trace:
    """Everything that comes from outside is evil."""
    found = Trace(EVIL, EVIL, EVIL)
    found.failed[EVIL] = EVIL
    for name, link in plain.links.items():
        assert link.server is not None
        found.links[name] = replace(
            link,
            address=EVIL,
            missing=[EVIL],
            states=[EVIL],
            exchanges=[replace(each, request_line=EVIL, status_line=EVIL) for each in link.exchanges],
            frames=[replace(each, says=EVIL, flags=EVIL) for each in link.frames],
            calls=[replace(each, text=EVIL, result=EVIL) for each in link.calls],
            server=replace(link.server, command=EVIL),
            file=replace(link.file, path=EVIL, owner=EVIL) if link.file else None,
        )
    return found


@pytest.fixture(scope="module")
def traces() -> dict[str, Trace]:
    plain = trace(replace(PLAN, links=["unix", "tcp", "tcp6"], with_cost=True))
    return {
        "plain": plain,
        "large": trace(replace(PLAN, request=posting(MIB), requests=1)),
        "without": trace(replace(PLAN, with_calls=False)),
        "hostile": hostile(plain),
        "empty": Trace("a:b", "", ""),
        "nothing": Trace("a:b", "", "", links={"tcp": LinkTrace("tcp", "127.0.0.1:1", "direct")}),
    }


KINDS = ["plain", "large", "without", "hostile", "empty", "nothing"]


@pytest.fixture(scope="module")
def pages(traces: dict[str, Trace], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("pages")
    found = {}
    for name, each in traces.items():
        found[name] = directory / f"{name}.html"
        found[name].write_text(page(each), "utf-8")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_one_small_file_that_fetches_nothing(kind: str, pages: dict[str, Path]) -> None:
    text = pages[kind].read_text("utf-8")
    assert len(text.encode()) < 1_000_000
    assert 1 == text.count("<script")
    assert not re.search(r"<link rel=\"stylesheet|@import|url\(|src=\"?http|href=\"?http", text)


def test_what_comes_from_outside_is_escaped(pages: dict[str, Path]) -> None:
    text = pages["hostile"].read_text("utf-8")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "{{ 7*7 }}" in text
    assert EVIL.split("\x1b")[0] in unescape(text)


def test_every_rung_is_in_one_step(traces: dict[str, Trace]) -> None:
    link = traces["plain"].links["tcp"]
    found = [rung.frame for step in steps([link]) for rung in step.sides[0].rungs if rung.frame]
    assert [frame.number for frame in link.frames] == found


def test_requests_and_replies_are_in_their_own_steps(traces: dict[str, Trace]) -> None:
    for link in traces["plain"].links.values():
        moved = {
            step.name: [
                rung
                for rung in step.sides[0].rungs
                if rung.direction and ("request" in rung.middle or "reply" in rung.middle)
            ]
            for step in steps([link])
        }
        if link.link != "unix":
            assert {
                "Request 1 goes there",
                "Reply 1 comes back",
                "Request 2 goes there",
                "Reply 2 comes back",
            } == {name for name, found in moved.items() if found}
            assert all(
                name[:5].lower() == rung.middle.partition(": ")[2][:5]
                for name, found in moved.items()
                for rung in found
            )


def test_envelopes_add_up_to_the_frame(traces: dict[str, Trace]) -> None:
    for frame in traces["plain"].links["tcp"].frames:
        found = wrappings(frame)
        assert frame.envelope.whole == found[-1].whole == sum(each.added for each in found)


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
def test_it_opens_offline_without_a_complaint_and_every_step_fits(
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
        for number in range(tab.locator(".step").count()):
            assert [number] == tab.evaluate(
                "[...document.querySelectorAll('.step')].flatMap((each, at) => each.hidden ? [] : [at])"
            )
            assert width >= tab.evaluate("document.documentElement.scrollWidth")
            assert [] == tab.evaluate(CONTRAST)
            if tab.locator("#after").is_enabled():
                tab.click("#after")
        assert [] == complaints
        assert [pages[kind].as_uri()] == [url for url in asked if not url.startswith("data:")]
    finally:
        context.close()


def test_the_arrow_keys_step_and_stop_at_the_ends(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context()
    try:
        tab = context.new_page()
        tab.goto(pages["plain"].as_uri())
        assert "Step 1 of 6" == tab.inner_text("#where")
        tab.keyboard.press("ArrowLeft")
        assert "Step 1 of 6" == tab.inner_text("#where")
        for _ in range(9):
            tab.keyboard.press("ArrowRight")
        assert "Step 6 of 6" == tab.inner_text("#where")
        assert tab.locator("#after").is_disabled()
    finally:
        context.close()


def test_without_scripts_all_steps_are_shown(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        tab = context.new_page()
        tab.goto(pages["plain"].as_uri())
        assert [True] * 6 == [each.is_visible() for each in tab.locator(".step").all()]
        assert not tab.locator("#walk").is_visible()
    finally:
        context.close()
