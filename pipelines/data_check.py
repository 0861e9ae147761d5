"""Looks whether data.dvc names a version that no model has learned from; then a training starts."""

from dataclasses import dataclass

from prefect import flow

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.mlflow import registry
from flightline.core.project import Project, open_project
from pipelines.common.events import announce_new_data
from pipelines.common.retries import SCHEDULED


@dataclass(frozen=True)
class DataCheck:
    """Which version of data/ is named, and which one the newest model learned from.

    Parameters
    ----------
    named
        By data.dvc.
    learned
        By the newest model version; None if there is none, or the gate has not judged it.
    """

    named: str
    learned: str | None

    @property
    def is_new(self) -> bool:
        """Whether a training would learn from other data."""
        return self.named != self.learned


def check_data_version(project: Project) -> DataCheck:
    """Compare data.dvc with what the newest model version learned from.

    The newest, not the champion: if the gate keeps the champion, the new data has been learned all
    the same, and learning it again at each look would come to the same. A training that ended before
    the gate had judged is none.
    """
    newest = registry.version_of(project.settings, project.problem.model_name, registry.CHALLENGER)
    learned = newest.tags.get("lineage.data_md5") if newest is not None and "verdict" in newest.tags else None
    return DataCheck(named=read_data_version(project.settings).md5, learned=learned)


@flow(name="data-check", validate_parameters=False, **SCHEDULED)
def data_check() -> DataCheck:
    """Look whether data.dvc names what no model has learned from; if so, a training starts."""
    project = open_project()
    found = check_data_version(project)
    print(f"data.dvc names {found.named}; the newest model learned from {found.learned or 'nothing that was judged'}")
    if found.is_new:
        announce_new_data(project.problem, found.learned, found.named)
    return found
