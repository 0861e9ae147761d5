"""Takes the README's pictures from the pages that `make demo` fills: `make screenshots DEMO=yes`.

It starts what shows them, in the demo's own place: the service, and MLflow.
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from flightline.adapters.files.pipes import outlive_reader
from flightline.adapters.mlflow import registry
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.common.servers.processes import running
from pipelines.monitoring_steps.champion import find_champion
from pipelines.pages.ui import SERVICE, programs

FOLDER = Path(__file__).parent / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
SIZE = (1100, 960)  # pixels
WAIT_MILLISECONDS = 120_000


def take(project: Project) -> None:
    """Start the servers, and take a picture of each page."""
    settings = project.settings
    service, mlflow = (each for each in programs(settings) if each.name in (SERVICE, "MLflow"))
    with (
        running([service, mlflow], settings.state_dir / "logs", settings.pages.start_seconds),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        ask_the_service(open_page(browser, f"{service.url}/"))
        save(open_page(browser, (settings.state_dir / "monitoring" / "latest_page.html").as_uri()), "monitoring")
        run = registry.connect(settings).get_run(str(find_champion(project)[0].run_id)).info
        show_the_run(open_page(browser, f"{mlflow.url}/#/experiments/{run.experiment_id}/runs/{run.run_id}"))
        browser.close()


def open_page(browser: Browser, url: str) -> Page:
    """Open a page in a window of its own."""
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
    page.set_default_timeout(WAIT_MILLISECONDS)
    page.goto(url)
    return page


def ask_the_service(page: Page) -> None:
    """Ask about what comes next, and take a picture of the answer."""
    page.get_by_label("What comes next").select_option(index=1)
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("heading", name="What drove it").wait_for()
    page.evaluate("window.scrollTo(0, 0)")
    save(page, "service")


def show_the_run(page: Page) -> None:
    """Put MLflow's assistant away, and take a picture of the run down to its metrics."""
    page.set_viewport_size({"width": SIZE[0], "height": 1300})
    page.get_by_role("button", name="Close").click()
    page.get_by_text("baseline_", exact=False).first.wait_for()
    save(page, "mlflow")


def save(page: Page, name: str) -> None:
    """Write the picture of what the window shows."""
    FOLDER.mkdir(exist_ok=True)
    page.screenshot(path=FOLDER / f"{name}.png")
    print(f"screenshots: {FOLDER / name}.png")


def main() -> int:
    """Take all pictures."""
    outlive_reader()
    return run_command(lambda: take(open_project()))


if __name__ == "__main__":
    sys.exit(main())
