"""A template of a dozen files with a history of three commits, and a project that was started from it."""

from pathlib import Path

from flightline.adapters.provenance import git
from template.start import start, tidy
from template.tests.copies import commit_changes

NAME = "churn"
CONFIG = 'PROBLEM = dict(model_name="late-ride", feature_service="late_ride_v1", label="{label}")\n'
README = """# Acme

About.

<!-- problem from here -->
Rides.
<!-- problem to here -->

More. <!-- template only -->
"""
OWN_CONFIG = 'PROBLEM = dict(model_name="churn", feature_service="churn_v2", label="left")\n'
GATE = """def floor() -> float:
    return 0.5


def acme() -> str:
    return 'acme'


def ceiling() -> float:
    return 1.5
"""
SECOND_MIGRATION = """# Migration

## 2

- `src/acme/problem/config.py` has the label of a ride.

## 1

- Nothing.
"""
FILES = {
    "src/acme/problem/__init__.py": "",
    "src/acme/problem/config.py": CONFIG.format(label="late"),
    "src/acme/gate.py": GATE,
    "tests/problem/test_config.py": "LABEL = 'late'\n",
    "feature_repo/definitions.py": "VIEWS = ['rides']\n",
    "data.dvc": "outs: rides\n",
    "locks/all.txt": "a==1\n\nb==1\n",
    "pyproject.toml": '[project]\nname = "acme"\nversion = "1"\n\n[tool.ruff]\nline-length = 120\n',
    "README.md": README,
    "CHANGELOG.md": "# Changes\n\n## 1\n\n- Began.\n",
    "MIGRATION.md": "# Migration\n\n## 1\n\n- Nothing.\n",
    "template/start.py": "",
}


def small_template(root: Path) -> Path:
    """Make a template's repository with its first commit."""
    write(root, FILES)
    assert git(root, "init", "--quiet", "--initial-branch", "main").returncode == 0
    commit_changes(root, "First")
    return root


def second_commit(root: Path) -> None:
    """Change the machine, a lock, and what problem/ must hold."""
    change(root, "src/acme/gate.py", "0.5", "0.6")
    write(
        root,
        {
            "src/acme/problem/config.py": CONFIG.format(label="late_ride"),
            "src/acme/problem/__init__.py": "from acme.problem.config import PROBLEM\n\nproblem = PROBLEM\n",
            "src/acme/canary.py": "WHO = 'acme'\n",
            "data.dvc": "outs: rides of two years\n",
            "locks/all.txt": "a==2\n\nb==1\n",
            "MIGRATION.md": SECOND_MIGRATION,
            "CHANGELOG.md": "# Changes\n\n## 2\n\n- A canary.\n\n## 1\n\n- Began.\n",
        },
    )
    change(root, "README.md", "Rides.", "Rides of two years.")
    change(root, "pyproject.toml", '"1"', '"2"')
    commit_changes(root, "Second")


def third_commit(root: Path) -> None:
    """Change the machine alone."""
    change(root, "src/acme/gate.py", "1.5", "1.6")
    commit_changes(root, "Third")


def started_project(template: Path, root: Path, without_problem: bool = False) -> Path:
    """Start a project from what a template is now, and give it a problem of its own."""
    assert git(template, "clone", "--quiet", ".", str(root)).returncode == 0
    start(root, NAME, without_problem)
    tidy(root)
    commit_changes(root, "Start")
    write(
        root,
        {
            f"src/{NAME}/problem/config.py": OWN_CONFIG,
            "tests/problem/test_config.py": "LABEL = 'left'\n",
            "data.dvc": "outs: customers\n",
            "CHANGELOG.md": "# What changed in Churn\n\n## 7\n\n- Ours.\n",
        },
    )
    change(root, "pyproject.toml", '"0.1.0"', '"7"')
    commit_changes(root, "Our problem")
    return root


def write(root: Path, files: dict[str, str]) -> None:
    """Write files, with their folders."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def change(root: Path, name: str, old: str, new: str) -> None:
    """Change a text that a file holds."""
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))
