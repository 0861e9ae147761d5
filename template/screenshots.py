"""Takes the README's pictures of what `make demo` left, while `make serve DEMO=yes` runs: `make screenshots`."""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from flightline.core.settings import Settings

FOLDER = Path(__file__).parent / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1100, "height": 860}


def service_page(page: Page, url: str) -> None:
    """Ask on the page for people about what comes next, and wait for the answer."""
    page.goto(url)
    page.get_by_label("What comes next").select_option(index=1)
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("heading", name="What drove it").wait_for()


def main() -> int:
    """Take a picture of the service's page, and of the newest page of monitoring."""
    settings = Settings()
    pages = sorted((settings.state_dir / "demo" / ".state" / "monitoring").glob("*/page.html"))
    if not pages:
        print("screenshots: no page of monitoring in .state/demo; run `make demo` first", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        service_page(page, f"http://127.0.0.1:{settings.serving.port}/")
        page.screenshot(path=FOLDER / "service.png")
        page.goto(pages[-1].resolve().as_uri())
        page.screenshot(path=FOLDER / "monitoring.png")
        browser.close()
    print(f"screenshots: {', '.join(file.name for file in sorted(FOLDER.iterdir()))} in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
