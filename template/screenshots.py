"""Takes the README's picture of the service's page, while `make serve DEMO=yes` runs: `make screenshots`."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from flightline.adapters.files.pipes import outlive_reader
from flightline.core.settings import Settings

FILE = Path(__file__).parent / "docs" / "pictures" / "service.png"
CHROMIUM = "/usr/bin/chromium"


def main() -> int:
    """Ask on the page about what comes next, and take a picture of the answer."""
    FILE.parent.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 960})
        page.goto(f"http://127.0.0.1:{Settings().serving.port}/")
        page.get_by_label("What comes next").select_option(index=1)
        page.get_by_role("button", name="Predict").click()
        page.get_by_role("heading", name="What drove it").wait_for()
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=FILE)
        browser.close()
    print(f"screenshots: {FILE}")
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
