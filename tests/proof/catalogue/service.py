"""Faults that the running service must stop, each planted into a copy in which a model was trained."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from tests.proof.fault import (
    APPLY,
    ASK,
    PARITY,
    SIGN_UNSEEN,
    SIGNATURE_TESTS,
    START_OPEN,
    TRAIN_ANOTHER,
    Fault,
    do_nothing,
)

LONG = timedelta(days=3650)
DOUBLED = """

from feast import FeatureView as _FeatureView

for _view in [each for each in list(globals().values()) if isinstance(each, _FeatureView)][:1]:
    _view.ttl = 2 * _view.ttl or timedelta(days=1)
"""


def flip_model_byte(copy: Path) -> None:
    """Flip one bit of the registered model file, and of the copy of it that the service has."""
    for file in _model_files(copy):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)


def register_untrusted_type(copy: Path) -> None:
    """Put a file that names a function of its own into the place of the registered one, with its digest."""
    import skops.io
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    from flightline.adapters.model_store.model_file import digest_of_file

    shutil.rmtree(copy / ".state" / "serving")
    (file,) = _model_files(copy)
    skops.io.dump(Pipeline([("call", FunctionTransformer(eval))]), file)
    _tell_registry(copy, digest_of_file(file))


def swap_model(copy: Path) -> None:
    """Put a model of one's own into the place of the registered one, with its digest wherever it is told."""
    from sklearn.dummy import DummyClassifier
    from sklearn.pipeline import Pipeline

    from flightline.adapters.model_store.model_file import save_model

    shutil.rmtree(copy / ".state" / "serving")
    (file,) = _model_files(copy)
    digest = save_model(Pipeline([("never", DummyClassifier(strategy="constant", constant=0).fit([[0]], [0]))]), file)
    (manifest,) = (copy / ".state" / "mlflow").rglob("signed/version_1/model.json")
    told = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(told | {"sha256": digest}), encoding="utf-8")
    _tell_registry(copy, digest)


def move_the_alias(copy: Path) -> None:
    """Point `champion` at the other of two versions, in the registry's database."""
    with closing(sqlite3.connect(copy / ".state" / "mlflow" / "mlflow.db")) as database, database:
        moved = "UPDATE registered_model_aliases SET version = 3 - version WHERE alias = 'champion'"
        database.execute(moved)


def _tell_registry(copy: Path, digest: str) -> None:
    with closing(sqlite3.connect(copy / ".state" / "mlflow" / "mlflow.db")) as database, database:
        database.execute("UPDATE model_version_tags SET value = ? WHERE key = 'model_sha256'", [digest])


def let_the_store_age(copy: Path) -> None:
    """Let the clock go on for years, with no new data and no materialisation."""
    clock = copy / ".state" / "clock.json"
    now = datetime.fromisoformat(json.loads(clock.read_text(encoding="utf-8"))["now"])
    clock.write_text(json.dumps({"now": (now + LONG).isoformat()}), encoding="utf-8")


def block_the_log(copy: Path) -> None:
    """Put a file where the folder of the prediction log should be; permissions would not stop root."""
    folder = copy / ".state" / "prediction_log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way", encoding="utf-8")


def swap_names(copy: Path) -> None:
    """Put the names of the logged features in another order."""
    with closing(sqlite3.connect(copy / ".state" / "prediction_log" / "predictions.db")) as log, log:
        ((names,),) = log.execute("SELECT names FROM feature_lists").fetchall()
        log.execute("UPDATE feature_lists SET names = ?", [json.dumps(json.loads(names)[::-1])])


def double_a_ttl(copy: Path) -> None:
    """Let values of the first declared feature view count for twice as long."""
    file = copy / "feature_repo" / "definitions.py"
    file.write_text(file.read_text(encoding="utf-8") + DOUBLED, encoding="utf-8")


def plant_code(copy: Path) -> None:
    """Write a transformation into Feast's registry, as whoever can write to it may; Feast would run it."""
    from feast.protos.feast.core.Registry_pb2 import Registry

    file = copy / ".state" / "feast" / "registry.db"
    registry = Registry.FromString(file.read_bytes())
    function = registry.feature_views[0].spec.feature_transformation.user_defined_function
    function.mode, function.body_text = "python", "def planted(rows): return rows"
    file.write_bytes(registry.SerializeToString())


def _model_files(copy: Path) -> list[Path]:
    return sorted(file for folder in ("mlflow", "serving") for file in (copy / ".state" / folder).rglob("model.skops"))


SERVICE_FAULTS = (
    Fault(
        "flipped_model_byte",
        "A disk flips one bit of the registered model file and of the served copy.",
        safeguard="digest",
        says="it was altered or cut short after registration and is not loaded",
        commands=(ASK,),
        plant=flip_model_byte,
    ),
    Fault(
        "untrusted_type",
        "A model file that runs code of its own is registered and signed, under its right digest.",
        safeguard="trust",
        says="version 1: model.skops holds types outside the allow-list",
        commands=(SIGN_UNSEEN, ASK),
        plant=register_untrusted_type,
    ),
    Fault(
        "swapped_model",
        "Somebody who can write to the registry puts a model of their own in place of the champion, digests and all.",
        safeguard="signature",
        says="model.json of version 1 has sha256",
        commands=(ASK,),
        plant=swap_model,
    ),
    Fault(
        "alias_moved",
        "Somebody who can write to the registry's database points `champion` at a version that was not promoted.",
        safeguard="moves",
        says="somebody moved the alias past `make promote`",
        before=(TRAIN_ANOTHER,),
        commands=(ASK,),
        plant=move_the_alias,
    ),
    Fault(
        "verification_switched_off",
        "The check of the signature is left out, because a model would not load.",
        safeguard="signature tests",
        says="[another key]",
        commands=(SIGNATURE_TESTS,),
    ),
    Fault(
        "stale_online_store",
        "Years go by without a materialisation.",
        safeguard="ttl",
        says="0 value(s) of the online store used",
        commands=(ASK,),
        plant=let_the_store_age,
    ),
    Fault(
        "definitions_differ",
        "A ttl is changed and applied after the training, so that offline and online features differ.",
        safeguard="meaning",
        says="version 1 was trained on feature views that mean something else",
        commands=(APPLY, ASK),
        plant=double_a_ttl,
    ),
    Fault(
        "code_in_the_registry",
        "Somebody who can write to Feast's registry puts a transformation into it, which Feast would run.",
        safeguard="plain registry",
        says="feature_transformation (of kind FeatureTransformationV2)",
        commands=(ASK,),
        plant=plant_code,
    ),
    Fault(
        "log_unwritable",
        "The folder of the prediction log cannot be written.",
        safeguard="log",
        says="NOT ANSWERED 503: the SQLite file predictions.db of the prediction log cannot be opened",
        commands=(ASK,),
        plant=block_the_log,
    ),
    Fault(
        "names_swapped",
        "Somebody who can write to the prediction log puts the names of the logged features in another order.",
        safeguard="names",
        says="is not in its table feature_lists as it was written",
        before=(ASK,),
        commands=(PARITY,),
        plant=swap_names,
    ),
    Fault(
        "start_without_keys",
        "The service is started for the whole network, with no API key issued.",
        safeguard="keys",
        says="got host 0.0.0.0 in the profile local and no valid API key",
        commands=(START_OPEN,),
        plant=do_nothing,
    ),
)
