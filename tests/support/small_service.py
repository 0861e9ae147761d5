"""Hand-made features and tiny fitted models of the toy problem, for a service without a store."""

import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from fastapi import Request
from sklearn.pipeline import Pipeline

from flightline.adapters.feast.online_features import FeatureRow
from flightline.adapters.model_store.approvals import Approval, sign_approval
from flightline.adapters.model_store.manifest import MANIFEST_FILE, ModelManifest
from flightline.adapters.model_store.model_file import MODEL_FILE, digest_of_file, save_model
from flightline.adapters.model_store.profile import PROFILE_FILE, CalibrationBin, HeldOutResult, ModelProfile
from flightline.adapters.model_store.served_model import write_served_model
from flightline.adapters.model_store.signatures import APPROVAL_FILE, SIGNATURE_FILE, SignedVersion, sign_files
from flightline.adapters.model_store.signing_keys import open_signer, read_trusted_keys
from flightline.core.problem_spec import Problem, Task
from flightline.core.settings import Settings
from flightline.training.preprocessing import Columns
from flightline.training.zoo import find_model
from tests.toy_problem import PROBLEM

NOON = datetime(2020, 7, 1, 12, tzinfo=UTC)
STATUS = f"/v1/models/{PROBLEM.model_name}"
PREDICT, SCORE = f"{STATUS}:predict", f"{STATUS}:score"
# Its prediction time is the clock.
INSTANCE = {"shop": "S01", "city": "Bergen", "opens": "2020-07-02T00:00:00+00:00"}
KINDS = {"mean_units": "float64", "shop": "str", "seats": "float64", "opening_hour": "float64"}


def always(given: Any) -> Callable[[Request], Coroutine[Any, Any, Any]]:
    """Give a dependency that gives this, for `app.dependency_overrides`."""

    async def give(request: Request) -> Any:
        return given

    return give


@dataclass
class HandMadeFeatures:
    """Gives each shop in it its mean units, and nobody any seats."""

    names: tuple[str, ...] = ("mean_units", "seats")
    views: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"recent": ("mean_units",), "plan": ("seats",)}
    )
    mean_units: Mapping[str, float] = field(default_factory=lambda: {"S01": 60.0, "S02": -10.0})
    reads_as_of: list[datetime] = field(default_factory=list)
    watermarks: Mapping[str, datetime] = field(default_factory=lambda: {"recent": NOON, "plan": NOON})
    definitions_sha256: str = "d" * 64
    brief_definitions_sha256: str = "b" * 64
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        self.reads_as_of.append(as_of)
        return [self._row(self.mean_units.get(str(row.get("shop"))), as_of) for row in entity_rows]

    def _row(self, units: float | None, as_of: datetime) -> FeatureRow:
        if units is None:
            return FeatureRow({"mean_units": None, "seats": None}, {}, {"recent": "no value", "plan": "no value"})
        timestamps = {"recent": as_of - timedelta(minutes=5), "plan": as_of + timedelta(minutes=1)}
        return FeatureRow({"mean_units": units, "seats": None}, timestamps, {"plan": "after the clock"})


def fitted(
    kinds: Mapping[str, str] = KINDS,
    model: str = "logistic_regression",
    *,
    task: Task = "classification",
    is_contrary: bool = False,
) -> Pipeline:
    """Fit a model of the zoo on 600 made-up rows: yes when the mean units, or the first number, are above 20.

    A contrary one holds the opposite, so that an answer tells which of the two gave it. A regression predicts
    that number itself, a multiclass model whether it is below 0, up to 20, or above.
    """
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            name: random.uniform(-20, 60, 600)
            if kind == "float64"
            else np.array(["S01", "S02", "S03"] * 200, dtype=object)
            for name, kind in kinds.items()
        }
    )
    numbers = [name for name, kind in kinds.items() if kind == "float64"]
    decisive = frame["mean_units" if "mean_units" in kinds else numbers[0]]
    columns = Columns(tuple(numbers), tuple(name for name in kinds if name not in numbers))
    number = np.digitize(decisive, [0, 20])
    label = {
        "classification": ((decisive > 20) != is_contrary).astype(int),
        "multiclass": pd.Series(2 - number if is_contrary else number),
        "regression": decisive,
    }[task]
    return find_model(task, model).build(columns, 0).fit(frame, label)


def manifest_of(
    kinds: Mapping[str, str], sha256: str = "0" * 64, problem: Problem = PROBLEM, **changes: str
) -> ModelManifest:
    named = {"name": problem.model_name, "version": "3", "run_id": "r", "feature_service": problem.feature_service}
    return ModelManifest(**(named | changes), sha256=sha256, columns=tuple(kinds.items()), classes=problem.classes)


def profile_of(problem: Problem = PROBLEM) -> ModelProfile:
    """Make up what a model learned from, and how it was judged."""
    is_regression = problem.task == "regression"
    names = problem.classes or (problem.label,)
    bins = tuple(CalibrationBin(rows=100, predicted=share, observed=share**1.1) for share in (0.1, 0.3, 0.5, 0.7, 0.9))
    return ModelProfile(
        begins=NOON - timedelta(days=90),
        ends=NOON - timedelta(days=30),
        rows=1234,
        typical={"mean_units": 10.0, "shop": "S02", "seats": 20.0, "opening_hour": 6.0},
        base_rates={} if is_regression else dict.fromkeys(names, 1 / max(len(names), 2)),
        usual_range=(-16.0, 20.0, 56.0) if is_regression else None,
        test=HeldOutResult(
            begins=NOON - timedelta(days=29),
            ends=NOON,
            rows=500,
            metrics={problem.primary_metric: 0.5},
            calibration=dict.fromkeys(names, bins),
        ),
    )


def put_model(
    settings: Settings,
    version: str,
    kinds: Mapping[str, str] = KINDS,
    *,
    pipeline: Pipeline | None = None,
    problem: Problem = PROBLEM,
    profile: ModelProfile | None = None,
    **changes: str,
) -> None:
    """Put a fitted model into the folder that a service loads from, and make it the current one."""
    file = settings.root / f"{version}.skops"
    digest = save_model(pipeline or fitted(kinds), file)
    manifest = manifest_of(kinds, digest, problem, version=version, **changes)
    put_signed(settings, manifest, file, problem=problem, profile=profile)


def put_signed(
    settings: Settings,
    manifest: ModelManifest,
    model_file: Path,
    folder: Path | None = None,
    problem: Problem = PROBLEM,
    profile: ModelProfile | None = None,
) -> None:
    """Sign and approve a model with the root's own key, and put it where a service loads it from."""
    with TemporaryDirectory() as temporary:
        delivered = pack(settings, manifest, model_file, Path(temporary), profile)
        keys = read_trusted_keys(settings)
        write_served_model(folder or settings.serving_models_dir, manifest.version, delivered, keys, problem)


def pack(
    settings: Settings, manifest: ModelManifest, model_file: Path, folder: Path, profile: ModelProfile | None = None
) -> Path:
    """Lay out a signed and approved version in an empty folder, as it is delivered."""
    shutil.copyfile(model_file, folder / MODEL_FILE)
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    digests = {MODEL_FILE: manifest.sha256, MANIFEST_FILE: digest_of_file(folder / MANIFEST_FILE)}
    if profile is not None:
        (folder / PROFILE_FILE).write_text(profile.model_dump_json(), encoding="utf-8")
        digests[PROFILE_FILE] = digest_of_file(folder / PROFILE_FILE)
    signed = SignedVersion(model=manifest.name, version=manifest.version, run_id=manifest.run_id)
    (folder / SIGNATURE_FILE).write_bytes(sign_files(open_signer(settings), signed, digests))
    (folder / APPROVAL_FILE).write_bytes(approval_of(settings, manifest))
    return folder


def approval_of(settings: Settings, manifest: ModelManifest, **changes: str) -> bytes:
    """Sign an approval of a version, as the gate does."""
    gate = {"role": "champion", "verdict": "PROMOTE", "by": "gate", "why": "a test"}
    approval = Approval.model_validate({"model": manifest.name, "version": manifest.version} | gate | changes)
    return sign_approval(open_signer(settings), approval, manifest.sha256)


def stand_in_registry(root: Path) -> Path:
    """Lay a registry file to touch, declared as a local store declares its own."""
    (root / "feature_repo").mkdir()
    (root / "feature_repo" / "feature_store.yaml").write_text("registry: ../registry.db\n")
    file = root / "registry.db"
    file.write_text("one")
    return file
