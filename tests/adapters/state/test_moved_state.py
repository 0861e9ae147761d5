"""A clone that is copied or moved with its state: nothing of the copy lies in the old place."""

import shutil

import pytest

from flightline.adapters.mlflow import registry
from flightline.adapters.state.moved_state import own_state
from flightline.core.settings import Settings
from tests.support.models.small_registry import register
from tests.support.small_service import KINDS, fitted
from tests.toy_problem import PROBLEM


@pytest.mark.slow
def test_a_copied_registry_gives_the_copys_own_files(tmp_path):
    old, new = Settings(root=tmp_path / "the old place"), Settings(root=tmp_path / "new")
    old.root.mkdir()
    assert own_state(old) is None
    version = register(old, fitted(KINDS))
    shutil.copytree(old.root, new.root)
    assert own_state(new) == old.root
    for settings in (new, old):
        found = registry.get_version(settings, PROBLEM.model_name, version)
        assert registry.download_model(settings, found).is_relative_to(settings.root)
        run = registry.connect(settings).get_run(str(found.run_id))
        assert run.info.artifact_uri.startswith(settings.root.as_uri())


def test_cached_results_stay_behind(tmp_path):
    settings = Settings(root=tmp_path)
    result = settings.state_dir / "prefect" / "storage" / "result"
    result.parent.mkdir(parents=True)
    for before, is_kept in ((tmp_path, True), (tmp_path / "elsewhere", False)):
        result.write_text("a pickled path")
        (settings.state_dir / "root").write_text(f"{before}\n")
        own_state(settings)
        assert result.exists() is is_kept
    assert own_state(settings) is None
