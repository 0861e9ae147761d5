"""A model that was registered and signed before the package had rooms is still verified, loaded and served.

The files of `registered_before/` are as that code wrote them: the model names `flightline.calibration` for the class of
its probability map, and the manifest has its reference predictions under `probe`.
"""

import shutil
import zipfile
from pathlib import Path

import pytest

from flightline.adapters.model_store.served_model import load_served_model, load_served_version
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import ModelFileError, SignatureError
from flightline.core.project import Project
from flightline.core.settings import Settings, SigningSettings
from flightline.training.calibration import CalibratedModel
from serving.prediction.predictor import Predictor
from serving.prediction.self_test import run_self_test
from tests.support.small_service import HandMadeFeatures
from tests.toy_problem import make_project

FOLDER = Path(__file__).with_name("registered_before")
UNITS = {"S01": 60.0, "S02": -10.0}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(Settings(root=tmp_path, signing=SigningSettings(public_key=str(FOLDER / "public.pem"))))


def test_its_files_have_the_names_of_before() -> None:
    with zipfile.ZipFile(FOLDER / "1" / "model.skops") as model:
        assert b'"flightline.calibration"' in model.read("schema.json")
    assert '"probe"' in (FOLDER / "1" / "model.json").read_text()


def test_it_is_verified_loaded_and_predicts_as_it_did(project: Project) -> None:
    model = load_served_version(FOLDER, "1", read_trusted_keys(project.settings), project.problem, "shadow")
    assert isinstance(model.pipeline[-1], CalibratedModel)
    predictor = Predictor(project, model, HandMadeFeatures(mean_units=UNITS))
    run_self_test(predictor)
    rows = model.manifest.reference_predictions
    requests = [project.schemas.instance.model_validate(row.request) for row in rows]
    results = predictor.predict(requests, project.prediction_time_of(requests[0]))
    assert [result.inputs for result in results] == [row.features for row in rows]
    assert [result.value for result in results] == pytest.approx([row.prediction for row in rows], abs=1e-9)
    assert len({row.prediction for row in rows}) == 3


def test_it_answers_nobody_until_a_person_approves_it(project: Project) -> None:
    with pytest.raises(SignatureError, match=r"no approval .*make promote VERSION=1 BY=you"):
        load_served_model(FOLDER, project)


@pytest.mark.parametrize("name", ["model.json", "model.skops"])
def test_a_changed_byte_is_refused(project: Project, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "models")
    content = bytearray((folder / "1" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "1" / name).write_bytes(content)
    with pytest.raises((SignatureError, ModelFileError), match="sha256"):
        load_served_version(folder, "1", read_trusted_keys(project.settings), project.problem, "shadow")
