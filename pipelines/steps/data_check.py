"""Looks whether data.dvc names a version that no model has learned from; a scheduled flow asks it."""

from dataclasses import dataclass

from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.mlflow import registry
from flightline.core.project import Project


@dataclass(frozen=True)
class DataCheck:
    """Which version of data/ is named, and which one the newest model learned from.

    Parameters
    ----------
    named
        By data.dvc.
    learned
        By the newest model version; None if there is none.
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
    the same, and learning it again at each look would come to the same.
    """
    newest = registry.version_of(project.settings, project.problem.model_name, registry.CHALLENGER)
    learned = newest.tags.get("lineage.data_md5") if newest is not None else None
    return DataCheck(named=read_data_version(project.settings).md5, learned=learned)
