"""The page about adding a model: its one file for XGBoost, laid into the zoo, is a model like the others."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "add-a-model.md"
# In a process of its own: the zoo is what lies in its folder.
USE = """
import numpy as np
import pandas as pd
from flightline.adapters.model_store.model_file import load_model, save_model
from flightline.inference.fast_pipeline import FastPipeline
from flightline.inference.predict import METHODS, predict
from flightline.training.fit import TrainingParameters, fit
from flightline.training.zoo import ZOO
from pathlib import Path
import sys

rows = pd.DataFrame({"units": np.linspace(-1, 1, 1_500), "shop": np.array(["S01", "S02", None] * 500, dtype=object)})
rows = rows.sample(frac=1, random_state=0, ignore_index=True)
labels = {
    "classification": (rows["units"] > 0).astype(float),
    "multiclass": pd.Series(np.digitize(rows["units"], [-0.3, 0.3])).astype(float),
    "regression": rows["units"],
}
position = pd.Series(np.arange(1_500))
masks = {"fit": position < 800, "validation": position.between(800, 1_199), "refit": position < 1_200}
for task, label in labels.items():
    assert "xgboost" in ZOO[task]
    metric, classes = ("mae" if task == "regression" else "log_loss"), ("a", "b", "c") if task == "multiclass" else ()
    losses = {}
    for model in ("xgboost", "mean" if task == "regression" else "base_rate"):
        found = fit(TrainingParameters(model), rows, label, masks, task=task, metric=metric, classes=classes)
        losses[model] = found.validation_loss
        if model == "xgboost":
            pipeline = found.pipeline
    assert losses.pop("xgboost") < min(losses.values()) / 2, (task, losses)
    file = Path(task).absolute()
    loaded = load_model(file, save_model(pipeline, file))
    assert np.array_equal(predict(task, loaded, rows), predict(task, pipeline, rows))
    assert FastPipeline.of(METHODS[task], loaded) is not None
sys.modules["xgboost"] = None
load_model(file)
"""


@pytest.fixture
def with_the_file(tmp_path: Path) -> Path:
    """A copy of the package with the file of the page in its zoo."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (name,) = re.findall(r"this `src/(\S+/zoo/\w+\.py)`", PAGE.read_text(encoding="utf-8"))
    shutil.copytree(ROOT / "src" / "flightline", tmp_path / "flightline")
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_file_of_the_page_fits_saves_loads_and_has_the_fast_form(with_the_file: Path) -> None:
    command = [sys.executable, "-c", USE]
    environment = {"PYTHONPATH": str(with_the_file), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=with_the_file, env=environment, capture_output=True, text=True, check=False)
    # Its last line takes the package away.
    assert "ModelFileError: regression needs what this environment lacks" in done.stderr, done.stderr[-3000:]
