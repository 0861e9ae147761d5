"""Pages from templates: what is escaped, what a missing value does, and that an edited template is used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import pipelines
from pipelines.common.rendering import markdown_cell, render

PIPELINES = Path(pipelines.__file__).parent
UI = {"refresh": 5, "entries": [], "written": {}, "there": []}


def test_values_of_a_web_page_are_escaped():
    page = render("ui.html.j2", title="<script>alert('&')</script>", **UI)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") == 2


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        render("ui.html.j2", **UI)


@pytest.mark.parametrize("value", ["a|b", "a`b", "a\nb", "<!-- a", "x" * 1000])
def test_a_cell_breaks_no_table(value):
    cell = markdown_cell(value)
    assert not set(cell) & set("|`\n<")
    assert len(cell) <= 70


def test_a_template_that_was_edited_is_used(tmp_path: Path):
    """In a copy of the package, as in a clone of the repository."""
    shutil.copytree(PIPELINES, tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    template = tmp_path / "pipelines" / "templates" / "ui.html.j2"
    template.write_text(template.read_text().replace("What you find there", "What is behind it"))
    script = f"from pipelines.common.rendering import render; print(render('ui.html.j2', title='t', **{UI}))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert "What is behind it" in done.stdout
    assert "What you find there" not in done.stdout


def test_every_template_is_a_file_of_the_package():
    """The images copy the folder, and a wheel takes every file below a package."""
    names = {file.name for file in (PIPELINES / "templates").iterdir()}
    assert names >= {"base.html.j2", "monitoring.html.j2", "monitoring.md.j2", "change_report.md.j2", "ui.html.j2"}
