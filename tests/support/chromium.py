"""Chromium for the tests of pages: a window on one, narrow or wide, light or dark, and axe's rules."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NARROW, WIDE = {"width": 420, "height": 900}, {"width": 1200, "height": 900}


@pytest.fixture(scope="module")  # while Playwright runs, its process has an event loop, and no test may start one
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no Chromium here: make system-packages")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def opened(browser: Any, url: str, viewport: dict[str, int] = NARROW) -> Iterator[Any]:
    """Open the page, and demand that nothing was refused by its policy, failed or came from elsewhere."""
    context = browser.new_context(viewport=viewport)
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request", lambda request: faults.append(request.url) if not request.url.startswith((url, "data:")) else None
    )
    page.goto(url)
    yield page
    context.close()
    unexpected = [fault for fault in faults if "401" not in fault and "422" not in fault]
    assert not unexpected, unexpected


def serious_faults(page: Any) -> list[str]:
    """Give what axe calls serious or critical, with the rule and the place."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:80]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def faults_of(page: Any) -> list[str]:
    """Give axe's serious faults, in light and in dark, and whether something is cut off at the side."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {fault}" for fault in serious_faults(page)]
    width, shown = page.evaluate("document.documentElement.scrollWidth"), page.viewport_size["width"]
    return found + [f"{width} pixels wide, {shown} are shown"] * (width > shown)
