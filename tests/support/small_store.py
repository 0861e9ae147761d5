"""A real Feast repository with an embedded online store, small enough to be made in a second."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.files.parquet_rows import write_folder
from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.support.small_service import NOON
from tests.toy_problem import PROBLEM

DECLARATIONS = f"""
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

SHOP = Entity(name="shop", value_type=ValueType.STRING)
CITY = Entity(name="city", value_type=ValueType.STRING)


def view(name, entity, ttl, feature):
    source = FileSource(
        name=name + "_table",
        path=f"../.state/features/current/{{name}}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    return FeatureView(
        name=name, entities=[entity], ttl=ttl, schema=[Field(name=feature, dtype=Float64)], source=source
    )


RECENT = view("recent", SHOP, timedelta(hours=6), "mean_units")
PLAN = view("plan", CITY, timedelta(hours=1), "seats")
SERVICE = FeatureService(name="{PROBLEM.feature_service}", features=[RECENT, PLAN])
"""
REPOSITORY = Path(__file__).parents[2]
OTHERS = 2000  # shops besides, so that a materialisation writes for a while


def make_store(settings: Settings, mean_units: float = 60.0) -> None:
    """Declare the views, give S01 its mean units, and materialise them as of NOON."""
    settings.feature_repo.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "feature_repo" / "feature_store.yaml", settings.feature_repo)
    (settings.feature_repo / "definitions.py").write_text(DECLARATIONS, encoding="utf-8")
    write_tables(settings, mean_units)
    feast_store.apply(settings)
    feast_store.materialise(settings, NOON)


def write_tables(settings: Settings, mean_units: float, known: datetime = NOON - timedelta(minutes=5)) -> None:
    """Write what is to be materialised: mean units of S01, of S02 (-10) and of many others, and seats in Bergen."""
    tables = settings.features_dir / "current"
    tables.mkdir(parents=True, exist_ok=True)
    shops = {"S01": mean_units, "S02": -10.0} | {f"X{n}": 0.0 for n in range(OTHERS)}
    for name, key, values in (("recent", "shop", shops), ("plan", "city", {"Bergen": 9.0})):
        feature = "mean_units" if name == "recent" else "seats"
        frame = pd.DataFrame({key: list(values), feature: list(values.values()), "event_timestamp": known})
        frame.assign(created_timestamp=frame["event_timestamp"]).to_parquet(tables / f"{name}.parquet")


def definitions_digest(settings: Settings) -> str:
    """Give the digest of what the registered views mean, as training records it."""
    features = OnlineFeatures.open(settings, PROBLEM.feature_service)
    features.close()
    return features.definitions_sha256


def lay_store(settings: Settings, toy_store: Project, toy_place: Project, toy_examples: pd.DataFrame) -> None:
    """Lay a copy of the toy problem's feature store under a root, with all examples, and link its data."""
    shutil.copytree(toy_store.settings.feature_repo, settings.feature_repo)
    tables = Path(shutil.copytree(toy_store.settings.features_dir / "toy", settings.features_dir / "toy"))
    write_folder(tables / "examples", {"examples.parquet": toy_examples})
    feast_store.activate(settings, tables)
    settings.data_dir.symlink_to(toy_place.settings.data_dir)
