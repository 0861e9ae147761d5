"""What a copy of the project holds."""

from pathlib import Path

from tools.tree import copy_tree, project_files

PROJECT = Path(__file__).parents[2]


def test_a_copy_holds_the_project_and_nothing_ignored(tmp_path):
    copy_tree(PROJECT, tmp_path / "copy")
    assert (tmp_path / "copy" / "src" / "flightline" / "promotion" / "gate.py").is_file()
    assert not [
        name for name in (".git", ".venv", ".state", "data", ".dvcstore") if (tmp_path / "copy" / name).exists()
    ]


def test_a_tree_without_git_is_walked(tmp_path):
    for name in (
        "src/a.py",
        "src/data/b.py",
        "infra/modules/cache/main.tf",
        "tools.env",
        ".state/x",
        "data/y.csv",
        ".dvc/config",
        ".dvc/cache/z",
        "src/__pycache__/a.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    kept = [".dvc/config", "infra/modules/cache/main.tf", "src/a.py", "src/data/b.py", "tools.env"]
    assert [name.as_posix() for name in project_files(tmp_path)] == kept
