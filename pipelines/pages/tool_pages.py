"""Serves the pages of a tool whose own command answers any site: `python -m pipelines.pages.tool_pages feast`.

MLflow and Prefect keep other sites out by settings of their own.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

import uvicorn
from starlette.types import ASGIApp

from flightline.adapters.evidently_reports import evidently_pages
from flightline.adapters.feast.pages import feast_pages
from flightline.core.environment import read_settings
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.common.servers.own_origin import OwnOrigin
from pipelines.common.servers.processes import HOST

# By the tool, what opens its pages, and where they listen.
PAGES: Mapping[str, tuple[Callable[[Settings], ASGIApp], str]] = {
    "feast": (feast_pages, "feast_port"),
    "evidently": (evidently_pages, "evidently_port"),
}


def serve(settings: Settings, tool: str) -> None:
    """Serve a tool's pages on 127.0.0.1 until stopped."""
    open_pages, port = PAGES[tool]
    uvicorn.run(OwnOrigin(open_pages(settings)), host=HOST, port=getattr(settings.pages, port), workers=1)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=PAGES)
    tool = parser.parse_args(arguments).tool
    return run_command(lambda: serve(read_settings(), tool))


if __name__ == "__main__":
    sys.exit(main())
