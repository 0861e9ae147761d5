"""Features of many requests, each as of its own moment: what a store that is loaded in time would have given."""

from typing import Any

import pandas as pd

from flightline.adapters.feast import feature_store as feast_store
from flightline.core.project import Project
from flightline.monitoring.parity import NO_VALUE, RebuiltView, StoredView, rebuild_view


def join_rows(project: Project, asked: pd.DataFrame) -> list[dict[str, Any]]:
    """Join the features of requests as of their moments, by the rule of `parity`, which rebuilds them in the end.

    Parameters
    ----------
    asked
        Request fields and event_timestamp, the moment (UTC) a request is asked at; shape (n, ...).

    Returns
    -------
    list of dict
        For each request values, event_timestamps (ISO) and missing, as the service's `FeatureRow` has them.
    """
    moments = asked["event_timestamp"]
    requests = asked[list(project.request_fields)].reset_index(drop=True)
    keyed = requests.assign(**project.requests.keys(requests))
    keyed["watermark"] = keyed["clock"] = moments.reset_index(drop=True)
    rows: list[dict[str, Any]] = [{"values": {}, "event_timestamps": {}, "missing": {}} for _ in range(len(asked))]
    for view in feast_store.stored_views(project.settings, project.problem.feature_service):
        _add(rows, rebuild_view(_always_loaded(view, moments), _table(project, view), keyed))
    return rows


def _always_loaded(view: StoredView, moments: pd.Series) -> StoredView:
    begin = pd.Timestamp(0, tz="UTC")
    return StoredView(view.name, view.keys, view.features, view.ttl, ((begin, moments.max()),))


def _table(project: Project, view: StoredView) -> pd.DataFrame:
    columns = [*view.keys, "event_timestamp", "created_timestamp", *view.features]
    return pd.read_parquet(project.settings.features_dir / "current" / f"{view.name}.parquet", columns=columns)


def _add(rows: list[dict[str, Any]], rebuilt: RebuiltView) -> None:
    names = list(rebuilt.view.features)
    values = rebuilt.values[names].astype(float).to_numpy()
    for row, found, stamp, reason in zip(rows, values, rebuilt.stamps, rebuilt.reasons, strict=True):
        known = {name: None if value != value else float(value) for name, value in zip(names, found, strict=True)}
        row["values"] |= known
        if not pd.isna(stamp):
            row["event_timestamps"][rebuilt.view.name] = stamp.isoformat()
        if reason is not None:
            row["missing"][rebuilt.view.name] = reason
        else:
            row["missing"] |= {name: NO_VALUE for name, value in known.items() if value is None}
