"""Builds the docs as a site with Zensical: `make docs`, `make docs-serve`.

It lays the pages into .state/site, with the settings, and runs Zensical on them in strict mode: a link to a page or
heading that is not there ends the build.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from flightline.adapters.files.pipes import outlive_reader
from tools.site.pages import made_pages, written_pages
from tools.tree import project_files

ROOT = Path(__file__).parents[2]
# In this order; a star stands for what is not named elsewhere. A page that is not there is left out.
SECTIONS = {
    "Tour": ["tour.md", "one-row.md"],
    "How to": [
        "how-to/set-up.md", "your-own-data.md",
        "how-to/add-a-feature.md", "how-to/add-a-table.md", "how-to/add-a-model.md", "how-to/debug-a-gate.md",
        "how-to/explain-a-prediction.md", "how-to/*", "retraining.md", "scheduling.md",
        "operations.md", "how-to/one-machine.md", "scale.md", "deploy.md", "costs.md", "workflows.md",
        "troubleshooting.md",
    ],
    "Concepts": [
        "architecture.md", "concepts/point-in-time.md", "concepts/leak-test.md", "concepts/gate.md",
        "concepts/canary.md", "concepts/parity.md", "concepts/*", "security.md", "security-policy.md",
    ],
    "Reference": ["reference/commands.md", "reference/runbook.md", "reference/*"],
    "Decisions": ["decisions/index.md", "decisions/*"],
    "Figures": ["benchmarks/*"],
    "More": ["skills.md", "changelog.md", "*"],
}  # fmt: skip
EXTENSIONS = {
    "admonition": {}, "attr_list": {}, "md_in_html": {}, "sane_lists": {}, "tables": {}, "toc": {"permalink": True},
    "pymdownx.highlight": {}, "pymdownx.inlinehilite": {}, "pymdownx.superfences": {},
}  # fmt: skip


def navigation(pages: list[str]) -> list[dict[str, object]]:
    """Order the pages by section.

    Examples
    --------
    >>> navigation(["index.md", "tour.md", "zoo.md"])
    [{'Start': 'index.md'}, {'Tour': ['tour.md']}, {'More': ['zoo.md']}]
    """
    left = [page for page in pages if page != "index.md"]
    sections: list[dict[str, object]] = [{"Start": "index.md"}]
    named = {page for entries in SECTIONS.values() for page in entries}
    for title, entries in SECTIONS.items():
        chosen: list[str] = []
        for entry in entries:
            folder = entry.removesuffix("*")
            found = [page for page in left if entry.endswith("*") and page.startswith(folder) and page not in named]
            chosen += found if entry.endswith("*") else [page for page in left if page == entry]
            left = [page for page in left if page not in chosen]
        if chosen:
            sections.append({title: list(chosen)})
    return sections


def settings(name: str, description: str, pages: list[str], root: Path, repository: str) -> dict[str, object]:
    """Give Zensical's settings; fonts and search are its own files, so that no page asks another host."""
    palettes = [
        {
            "media": f"(prefers-color-scheme: {kind})",
            "scheme": scheme,
            "toggle": {"icon": icon, "name": "Switch colours"},
        }
        for kind, scheme, icon in (("light", "default", "lucide/sun"), ("dark", "slate", "lucide/moon"))
    ]
    python = {"paths": [str(root / "src")], "options": {
        "docstring_style": "numpy", "show_source": False, "show_root_heading": True, "show_root_full_path": True,
        "show_if_no_docstring": False, "filters": ["!^_"], "heading_level": 2,
    }}  # fmt: skip
    project: dict[str, object] = {
        "site_name": name,
        "site_description": description,
        "docs_dir": "pages",
        "site_dir": "html",
        "nav": navigation(pages),
        "theme": {"font": False, "palette": palettes, "features": ["navigation.top", "content.code.copy"]},
        "markdown_extensions": EXTENSIONS,
        "use_directory_urls": False,  # so that the pages open from the disk too
        "plugins": {"mkdocstrings": {"handlers": {"python": python}}},
    }
    return {"project": project | ({"repo_url": repository} if repository else {})}


def lay_out(root: Path, target: Path, repository: str) -> list[str]:
    """Write pages and settings into a folder that is made anew; give the pages, relative to the site."""
    shutil.rmtree(target, ignore_errors=True)
    files = project_files(root)
    written = dict(written_pages(root, files, repository)) | dict(made_pages(root, files))
    for page, content in written.items():
        file = target / "pages" / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    pages = sorted(page for page in written if page.endswith(".md"))
    about = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    title = about["name"].replace("-", " ").title()
    (target / "zensical.toml").write_text(as_toml(settings(title, about["description"], pages, root, repository)))
    return pages


def as_toml(value: dict[str, object]) -> str:
    """Write settings as TOML: tables become inline tables, which need no order.

    Examples
    --------
    >>> print(as_toml({"project": {"nav": [{"Tour": ["tour.md"]}], "offline": {}}}))
    project = {"nav" = [{"Tour" = ["tour.md"]}], "offline" = {}}
    """

    def inline(part: object) -> str:
        if isinstance(part, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {inline(one)}" for key, one in part.items()) + "}"
        return f"[{', '.join(map(inline, part))}]" if isinstance(part, list) else json.dumps(part)

    return "\n".join(f"{key} = {inline(part)}" for key, part in value.items())


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, and build or serve the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zensical", type=Path, required=True, help="the program")
    parser.add_argument("--source", default="", help="where the code is browsed, such as https://github.com/team/churn")
    parser.add_argument("--serve", default="", help="an address to serve on, such as 127.0.0.1:8800")
    options = parser.parse_args(arguments)
    site = ROOT / ".state" / "site"
    pages = lay_out(ROOT, site, options.source.rstrip("/"))
    program = [str(options.zensical.resolve())]
    if options.serve:
        return subprocess.run([*program, "serve", "--dev-addr", options.serve], cwd=site, check=False).returncode
    code = subprocess.run([*program, "build", "--strict"], cwd=site, check=False).returncode
    print(
        f"docs: {len(pages)} pages in {(site / 'html').relative_to(ROOT)}/index.html" if not code else "docs: not built"
    )
    return code


if __name__ == "__main__":
    outlive_reader()
    sys.exit(main())
