"""Hand-made features and tiny fitted models, for a service without a store."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.feast.online_features import FeatureRow
from flightline.adapters.model_store.manifest import MANIFEST_FILE, ModelManifest
from flightline.adapters.model_store.model_file import MODEL_FILE, digest_of_file, save_model
from flightline.adapters.model_store.served_model import write_served_model
from flightline.adapters.model_store.signatures import SIGNATURE_FILE, SignedVersion, sign_files
from flightline.adapters.model_store.signing_keys import open_signer, read_trusted_keys
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from flightline.training.preprocessing import Columns
from flightline.training.zoo import find_model

NOON = datetime(2013, 12, 31, 12, tzinfo=UTC)
PREDICT = f"/v1/models/{PROBLEM.model_name}:predict"
SCORE = f"/v1/models/{PROBLEM.model_name}:score"
STATUS = f"/v1/models/{PROBLEM.model_name}"
# Its prediction time is the clock.
INSTANCE = {
    "origin": "JFK",
    "dest": "LAX",
    "carrier": "B6",
    "flight": 23,
    "tailnum": "N729JB",
    "scheduled_departure": "2013-12-31T14:00:00+00:00",
}
KINDS = {"delay": "float64", "carrier": "str", "gust": "float64", "scheduled_minute": "float64"}


@dataclass
class HandMadeFeatures:
    """Gives each carrier in it its delay, and nobody a gust."""

    names: tuple[str, ...] = ("delay", "gust")
    delays: Mapping[str, float] = field(default_factory=lambda: {"B6": 60.0, "AA": -10.0})
    asked_as_of: list[datetime] = field(default_factory=list)
    watermarks: Mapping[str, datetime] = field(default_factory=lambda: {"recent": NOON, "weather": NOON})
    definitions_sha256: str = "d" * 64
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        self.asked_as_of.append(as_of)
        return [self._row(self.delays.get(str(row.get("carrier"))), as_of) for row in entity_rows]

    def _row(self, delay: float | None, as_of: datetime) -> FeatureRow:
        if delay is None:
            return FeatureRow({"delay": None, "gust": None}, {}, {"recent": "no value", "weather": "no value"})
        timestamps = {"recent": as_of - timedelta(minutes=5), "weather": as_of + timedelta(minutes=1)}
        return FeatureRow({"delay": delay, "gust": None}, timestamps, {"weather": "after the clock"})


def fitted(
    kinds: Mapping[str, str] = KINDS, model: str = "logistic_regression", *, is_contrary: bool = False
) -> Pipeline:
    """Fit a model of the zoo on 600 made-up rows: late when the delay, or the first number, is above 20.

    A contrary one holds the opposite, so that an answer tells which of the two gave it.
    """
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            name: random.uniform(-20, 60, 600)
            if kind == "float64"
            else np.array(["B6", "AA", "UA"] * 200, dtype=object)
            for name, kind in kinds.items()
        }
    )
    numbers = [name for name, kind in kinds.items() if kind == "float64"]
    told = "delay" if "delay" in kinds else numbers[0]
    columns = Columns(tuple(numbers), tuple(name for name in kinds if name not in numbers))
    return (
        find_model("classification", model)
        .build(columns, 0)
        .fit(frame, ((frame[told] > 20) != is_contrary).astype(int))
    )


def manifest_of(kinds: Mapping[str, str], sha256: str = "0" * 64, **changes: str) -> ModelManifest:
    named = {"name": PROBLEM.model_name, "version": "3", "run_id": "r", "feature_service": PROBLEM.feature_service}
    return ModelManifest(**(named | changes), sha256=sha256, columns=tuple(kinds.items()))


def put_model(
    settings: Settings,
    version: str,
    kinds: Mapping[str, str] = KINDS,
    *,
    pipeline: Pipeline | None = None,
    **changes: str,
) -> None:
    """Put a fitted model into the folder that a service loads from, and make it the current one."""
    file = settings.root / f"{version}.skops"
    digest = save_model(pipeline or fitted(kinds), file)
    put_signed(settings, manifest_of(kinds, digest, version=version, **changes), file)


def put_signed(settings: Settings, manifest: ModelManifest, model_file: Path, folder: Path | None = None) -> None:
    """Sign a model as a registration does, with the root's own key, and put it where a service loads it from."""
    with TemporaryDirectory() as temporary:
        delivered = pack(settings, manifest, model_file, Path(temporary))
        keys = read_trusted_keys(settings)
        write_served_model(folder or settings.serving_models_dir, manifest.version, delivered, keys)


def pack(settings: Settings, manifest: ModelManifest, model_file: Path, folder: Path) -> Path:
    """Lay out a signed version in an empty folder, as it is delivered."""
    shutil.copyfile(model_file, folder / MODEL_FILE)
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    digests = {MODEL_FILE: manifest.sha256, MANIFEST_FILE: digest_of_file(folder / MANIFEST_FILE)}
    signed = SignedVersion(model=manifest.name, version=manifest.version, run_id=manifest.run_id)
    (folder / SIGNATURE_FILE).write_bytes(sign_files(open_signer(settings), signed, digests))
    return folder
