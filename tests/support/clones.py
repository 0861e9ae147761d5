"""Small clones of this project for tests: real DVC and real rows, in a temporary folder."""

import shutil
from pathlib import Path

from flightline.adapters.dvc import data_version as dvc_data
from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.toy_problem import make_project, write_feature_repo, write_raw

PROJECT = Path(__file__).parents[2]
MONTHS = ("2020-01", "2020-02")


def cut_seed(seed: Path, target: Path, rows: int) -> Path:
    """Write two months of the seed, of each the first rows, and all small tables."""
    for file in sorted(seed.rglob("*.csv")):
        name = file.relative_to(seed)
        if len(name.parts) == 1 or file.stem in MONTHS:
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            kept = lines if len(name.parts) == 1 else lines[: rows + 1]
            (target / name).write_text("".join(kept), encoding="utf-8", newline="")
    return target


def make_clone(root: Path, remote: Path, pointer: Path | None = None) -> Settings:
    """Make a clone with the committed DVC configuration, but for where the remote is."""
    (root / ".dvc").mkdir(parents=True)
    shutil.copy(PROJECT / ".dvcignore", root)
    config = (PROJECT / ".dvc" / "config").read_text(encoding="utf-8")
    (root / ".dvc" / "config").write_text(config.replace("../.dvcstore", str(remote)), encoding="utf-8")
    if pointer is not None:
        shutil.copy(pointer, root)
    return Settings(root=root)


def make_toy_clone(folder: Path) -> Project:
    """Make a clone that holds the data of the toy problem, and no state."""
    settings = make_clone(folder / "clone", folder / "remote")
    write_feature_repo(settings.root)
    (folder / "staged").mkdir()
    write_raw(folder / "staged")
    dvc_data.add_version(settings, folder / "staged", lambda _: None)
    return make_project(settings)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
