"""YOURS: everything about the problem, and the only package that names its columns.

`make_project` hands it to the machine. It stays as it is: change the seven files beside it,
`feature_repo/definitions.py` and `tests/problem/`.
"""

from flightline.core.project import FeatureCode, Project, RawTables, RequestCode, Schemas
from flightline.core.settings import Settings
from flightline.problem import api_schema, request_features
from flightline.problem.config import PROBLEM


def make_project(settings: Settings) -> Project:
    """Build the project of this clone; `flightline.core.project.open_project` calls it."""
    return Project(
        settings=settings,
        problem=PROBLEM,
        requests=RequestCode(
            request_features.request_keys,
            request_features.request_features,
            (request_features,),
            getattr(request_features, "on_demand", None),
            getattr(request_features, "WITHHELD", ()),
        ),
        schemas=Schemas(
            instance=api_schema.Instance,
            prediction=api_schema.Prediction,
            example=api_schema.EXAMPLE,
            event_time_field=api_schema.EVENT_TIME_FIELD,
            event_time_of=api_schema.event_time_of,
        ),
        load_raw_tables=_raw_tables,
        load_features=_features,
    )


def _raw_tables() -> RawTables:
    from flightline.problem import raw_tables, source

    return RawTables(raw_tables.CONTRACTS, source.write_seed, (raw_tables,), getattr(source, "write_files", None))


def _features() -> FeatureCode:
    from flightline.problem import availability, features, raw_tables

    return FeatureCode(
        prepare=availability.prepare,
        groups=availability.GROUPS,
        tables=features.FEATURE_TABLES,
        examples=features.examples,
        modules=(raw_tables, availability, features),
    )
