"""The pages of the site, from files that are also read as they are: Markdown, docstrings, alerts, the Makefile.

Links between pages stay; one to a file of the code leads to where the code is hosted, or is its bare name where that is
not known. One to nothing stays too, and ends the build. A page needs nothing from another host.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

# What is a page without lying under docs/, and where it goes.
ELSEWHERE = {
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
    "template/docs/": "benchmarks/",  # template only
}
PICTURES = {".svg", ".png"}
RULES = Path("infra/stack/prometheus/rules.yml")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_MARK = re.compile(r"^<!-- .*? -->\n|[ ]*<!-- [\w ]+? -->$", re.MULTILINE)
_MERMAID = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


def page_of(file: str) -> str | None:
    """Give the page that a file of the project becomes, or None.

    Examples
    --------
    >>> page_of("docs/how-to/set-up.md"), page_of("SECURITY.md"), page_of("Makefile")
    ('how-to/set-up.md', 'security-policy.md', None)
    """
    for start, target in {"docs/": "", **ELSEWHERE}.items():
        if file.startswith(start) and PurePosixPath(file).suffix in {".md", *PICTURES}:
            return target + file.removeprefix(start)
    return None


def written_pages(root: Path, files: list[Path], repository: str) -> Iterator[tuple[str, str | bytes]]:
    """Give path and content of every page that is a file of the project, pictures too.

    Parameters
    ----------
    files
        Of the project, relative to its root.
    repository
        Where its code is browsed, such as https://github.com/team/churn; empty if nowhere.
    """
    pages = {str(file): page for file in files if (page := page_of(str(file)))}
    for file, page in pages.items():
        if PurePosixPath(file).suffix in PICTURES:
            yield page, (root / file).read_bytes()
        else:
            text = as_page((root / file).read_text(encoding="utf-8"))
            yield page, _linked(text, file, pages, {str(name) for name in files}, repository)


def as_page(text: str) -> str:
    r"""Bring what GitHub shows into what the site shows: no marks, lists set apart, arrows of mermaid as a list.

    Examples
    --------
    >>> as_page("<!-- a mark -->\nFirst\n- one\n")
    'First\n\n- one\n'
    """
    text = _MERMAID.sub(lambda found: _as_list(found[1]), _MARK.sub("", text))
    return re.sub(r"^([^\s|>#-].*\n)(?=- )", r"\1\n", text, flags=re.MULTILINE)


def _as_list(arrows: str) -> str:
    imported: dict[str, list[str]] = {}
    for room, other in re.findall(r"(\w+) --> (\w+)", arrows):
        imported.setdefault(room, []).append(f"`{other}`")
    return "".join(f"- `{room}` imports {', '.join(others)}\n" for room, others in imported.items())


def _linked(text: str, file: str, pages: dict[str, str], files: set[str], repository: str) -> str:
    """Let links lead to pages, or to the code."""

    def link(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in target or target.startswith("mailto:"):
            return found[0]
        whole = os.path.normpath(PurePosixPath(file).parent / path)
        if whole in pages:
            to = os.path.relpath(pages[whole], PurePosixPath(pages[file]).parent)
            return f"{mark}[{words}]({to}{'#' + anchor if anchor else ''})"
        if whole == "README.md":
            return f"{words}"
        if whole == "docs/decisions":
            return f"[{words}]({os.path.relpath('decisions/index.md', PurePosixPath(pages[file]).parent)})"
        kind = "blob" if whole in files else "tree"
        if kind == "tree" and not any(name.startswith(f"{whole}/") for name in files):
            return found[0]
        return f"[{words}]({repository}/{kind}/HEAD/{whole})" if repository else words

    return _LINK.sub(link, text)


def made_pages(root: Path, files: list[Path]) -> Iterator[tuple[str, str]]:
    """Give path and content of the pages that are read from something else than Markdown."""
    yield "reference/commands.md", commands(root, files)
    yield "reference/runbook.md", runbook((root / RULES).read_text(encoding="utf-8"))
    yield "decisions/index.md", decisions(root)
    (package,) = (folder.parent for folder in root.glob("src/*/core"))
    for room in sorted(folder for folder in package.iterdir() if (folder / "__init__.py").is_file()):
        yield f"reference/{room.name}.md", reference(room, package)


def commands(root: Path, files: list[Path]) -> str:
    """Make a table of make's targets, from the help beside each."""
    order = sorted(
        (file for file in files if file.name == "Makefile" or file.suffix == ".mk"), key=lambda f: len(f.parts)
    )
    lines = ["# Commands", "", "`make help-all` prints the same.", ""]
    for line in "\n".join((root / file).read_text(encoding="utf-8") for file in order).splitlines():
        if line.startswith("##@ "):
            lines += ["", f"## {line[4:]}", "", "| command | what it does |", "|---|---|"]
        elif found := re.match(r"([a-z-]+):.*?## (.+)", line):
            lines.append(f"| `make {found[1]}` | {found[2].replace('|', chr(92) + '|').replace('<', '&lt;')} |")
    return "\n".join(lines) + "\n"


def runbook(rules: str) -> str:
    """Make a page of what each alert of Prometheus means and what to do, from the rules themselves."""
    lines = ["# Runbook", "", f"Each alert of `{RULES}`: what it says, when it fires, and what to look at first.", ""]
    for group in yaml.safe_load(rules)["groups"]:
        for rule in group["rules"]:
            notes = {name: re.sub(r"{{.*?}}", "…", text) for name, text in rule["annotations"].items()}
            when = f"{rule['labels']['severity']}, after {rule.get('for', '0s')}"
            lines += [f"## {rule['alert']}", "", f"{notes['summary']} ({when})", ""]
            lines += [f"**To do:** {notes['action']}", "", "```promql", rule["expr"].strip(), "```", ""]
    lines += ["What messages of commands and service mean is in [troubleshooting](../troubleshooting.md).", ""]
    return "\n".join(lines)


def decisions(root: Path) -> str:
    """Make a page that lists the decision records."""
    titles = [
        (file.name, file.read_text(encoding="utf-8").splitlines()[0].lstrip("# "))
        for file in sorted((root / "docs" / "decisions").glob("*.md"))
    ]
    return "# Decisions\n\nWhy it is as it is.\n\n" + "".join(f"- [{title}]({name})\n" for name, title in titles)


def reference(room: Path, package: Path) -> str:
    """Make a page of all modules of a room, from their docstrings."""
    modules = [file for file in sorted(room.rglob("*.py")) if file.name not in ("__init__.py", "env.py")]
    named = [".".join(file.relative_to(package.parent).with_suffix("").parts) for file in modules]
    blocks = "".join(f"::: {name}\n\n" for name in named if re.fullmatch(r"[a-z_.]+", name))
    return f"# {package.name}.{room.name}\n\n{blocks}"
