"""Draws the rooms of the code and their imports into docs/architecture.md: `make rooms`.

An arrow from one room to another means that a module of the first imports one of the second. Read from the
code, so the picture cannot drift: `tests/tools/test_rooms.py` fails while the page holds another.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import grimp

from flightline.adapters.files.pipes import outlive_reader

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = {"flightline": "src/flightline/", "pipelines": "pipelines/", "serving": "serving/"}
START, END = "<!-- rooms: make rooms -->", "<!-- end of rooms -->"


def room_of(module: str, graph: grimp.ImportGraph) -> str:
    """Give the room of a module: its folder, or the files that lie at the top of its package."""
    package, *below = module.split(".")
    folder = f"{package}.{below[0]}" if below else package
    return below[0] if below and graph.find_children(folder) else f"{package} top level"


def arrows(package: str, graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Give the imports between rooms of one package."""
    modules = [module for module in graph.modules if module.split(".")[0] == package]
    found = {
        (room_of(module, graph), room_of(imported, graph))
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in graph.modules and imported.split(".")[0] == package
    }
    return {(above, below) for above, below in found if above != below}


def draw(package: str, graph: grimp.ImportGraph) -> Iterator[str]:
    """Write a package as a flowchart of Mermaid, which GitHub shows as a picture."""
    rooms = sorted(
        {room_of(module, graph) for module in graph.modules if module.split(".")[0] == package and "." in module}
    )
    found = sorted(arrows(package, graph))
    yield f"`{PACKAGES[package]}`: {len(rooms)} rooms, {len(found)} arrows"
    yield ""
    yield "```mermaid"
    yield "flowchart TD"
    names = {room: room.replace(" ", "_") for room in rooms}
    yield from (f'  {names[room]}["{room}"]' for room in rooms)
    yield from (f"  {names[above]} --> {names[below]}" for above, below in found)
    yield "```"
    yield ""


def page() -> str:
    """Give docs/architecture.md with the rooms as the code has them now."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    drawn = "\n".join(line for package in PACKAGES for line in draw(package, graph))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{drawn}\n{END}{after}"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"rooms: drawn into {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
