"""What workers counted of a challenger, in the prediction log's database, where replicas meet."""

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa

from flightline.adapters.prediction_log.rows import moment_value
from flightline.adapters.prediction_log.schema import CANARY_COUNTS, connected, ensure_schema
from flightline.core.settings import Settings
from flightline.promotion.canary import CanarySetting, ChallengerCounts

_NAMES = ("asked", "failed", "slow", "dropped", "seconds")


def name_of(setting: CanarySetting) -> str:
    """Name a canary: the same versions started again, or in another mode, are counted anew."""
    since = setting.since.astimezone(UTC).isoformat()
    return f"{setting.champion}:{setting.version}:{setting.mode}:{since}:{setting.begun}"


def add_counts(settings: Settings, setting: CanarySetting, counts: ChallengerCounts) -> None:
    """Add what a worker has counted since it last did.

    Raises
    ------
    LogError
        If the database cannot be written to.
    """
    with connected(settings, is_writer=True) as connection:
        now = moment_value(datetime.now(UTC), connection.dialect.name)
        row = {"count_id": uuid4().hex, "recorded_at": now, "canary": name_of(setting), **asdict(counts)}
        connection.execute(CANARY_COUNTS.insert(), [row])


def read_counts(settings: Settings, setting: CanarySetting) -> ChallengerCounts:
    """Sum what all workers counted of a canary."""
    ensure_schema(settings)
    sums = [sa.func.coalesce(sa.func.sum(CANARY_COUNTS.c[name]), 0) for name in _NAMES]
    with connected(settings) as connection:
        *whole, seconds = connection.execute(sa.select(*sums).where(CANARY_COUNTS.c.canary == name_of(setting))).one()
    asked, failed, slow, dropped = (int(one) for one in whole)
    return ChallengerCounts(asked, failed, slow, dropped, float(seconds))
