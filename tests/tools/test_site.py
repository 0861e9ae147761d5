"""The pages of the site: what becomes of links, marks and diagrams, that each page is in the navigation."""

import re
from pathlib import Path

import pytest

from tools.site.__main__ import SECTIONS, lay_out, navigation
from tools.site.pages import as_page, made_pages, written_pages
from tools.tree import project_files

ROOT = Path(__file__).parents[2]


def text_of(tmp_path: Path, files: dict[str, str], page: str, repository: str = "") -> str:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return str(dict(written_pages(tmp_path, [Path(name) for name in files], repository))[page])


@pytest.mark.parametrize(
    ("target", "repository", "expected"),
    [
        ("b.md#part", "", "[words](b.md#part)"),
        ("../SECURITY.md", "", "[words](security-policy.md)"),
        ("../Makefile", "", "words"),
        ("../Makefile", "https://code.example/t/p", "[words](https://code.example/t/p/blob/HEAD/Makefile)"),
        ("../src", "https://code.example/t/p", "[words](https://code.example/t/p/tree/HEAD/src)"),
        ("https://other.example/x", "", "[words](https://other.example/x)"),
        ("#here", "", "[words](#here)"),
        ("nowhere.md", "", "[words](nowhere.md)"),
    ],
)
def test_a_link_leads_to_a_page_or_to_the_code(tmp_path: Path, target: str, repository: str, expected: str) -> None:
    files = {"docs/a.md": f"[words]({target})\n", "docs/b.md": "", "SECURITY.md": "", "Makefile": "", "src/a.py": ""}
    assert text_of(tmp_path, files, "a.md", repository) == f"{expected}\n"


def test_a_picture_goes_along(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "loop.svg").write_bytes(b"<svg/>")
    assert dict(written_pages(tmp_path, [Path("docs/loop.svg")], "")) == {"loop.svg": b"<svg/>"}


def test_marks_go_and_arrows_are_a_list() -> None:
    page = as_page("| a | 1 | <!-- a mark -->\n<!-- a mark -->\n```mermaid\nflowchart TD\n  a --> b\n```\n")
    assert page == "| a | 1 |\n- `a` imports `b`\n\n"


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page(tmp_path: Path) -> None:
    pages = lay_out(ROOT, tmp_path / "site", "")
    listed = [
        page
        for section in navigation(pages)
        for named in section.values()
        for page in ([named] if isinstance(named, str) else named)
    ]
    assert sorted(listed) == pages
    own = {entry for entries in SECTIONS.values() for entry in entries if not entry.endswith("*")}
    assert own - set(pages) <= {"retraining.md", "one-row.md"}


def test_every_alert_and_every_command_has_its_line() -> None:
    made = dict(made_pages(ROOT, project_files(ROOT)))
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "infra/stack/prometheus/rules.yml").read_text())
    assert re.findall(r"^## (\w+)$", made["reference/runbook.md"], re.MULTILINE) == alerts
    assert {"make train", "make deploy"} <= set(re.findall(r"`(make [a-z-]+)`", made["reference/commands.md"]))


def test_each_skill_names_files_that_are_there() -> None:
    rows = re.findall(r"^\| .+? \| (`.+?`) \|", (ROOT / "docs" / "skills.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).is_file()] == []
