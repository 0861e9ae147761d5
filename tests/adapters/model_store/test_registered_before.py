"""A model that was registered and signed before the package had rooms is still verified, loaded and answers the same.

The files of `registered_before/` are as that code wrote them: the model names `flightline.calibration` for the class of
its probability map.
"""

import zipfile
from pathlib import Path

import pytest

from flightline.adapters.model_store.manifest import MANIFEST_FILE, parse_manifest
from flightline.adapters.model_store.model_file import MODEL_FILE, load_model
from flightline.adapters.model_store.signatures import read_signed
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.settings import Settings, SigningSettings
from flightline.inference.fast_pipeline import QuickModel
from flightline.inference.predict import METHODS, predict_rows
from flightline.training.calibration import CalibratedModel

FOLDER = Path(__file__).with_name("registered_before")


def test_its_file_names_the_module_of_before() -> None:
    with zipfile.ZipFile(FOLDER / "1" / MODEL_FILE) as model:
        assert b'"flightline.calibration"' in model.read("schema.json")


def test_it_is_verified_loaded_and_answers_as_it_did(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, signing=SigningSettings(public_key=str(FOLDER / "public.pem")))
    statement, contents = read_signed(FOLDER / "1", "toy", "1", read_trusted_keys(settings), unread=MODEL_FILE)
    manifest = parse_manifest(contents[MANIFEST_FILE], "1")
    pipeline = load_model(FOLDER / "1" / MODEL_FILE, statement.files[MODEL_FILE])
    assert isinstance(pipeline[-1], CalibratedModel)
    quick = QuickModel.of(METHODS["classification"], pipeline)
    got = predict_rows(
        "classification", pipeline, quick, dict(manifest.columns), [row.features for row in manifest.probe]
    )
    assert got == pytest.approx([row.prediction for row in manifest.probe], abs=1e-9)
    assert len(set(got)) == len(manifest.probe) == 3
