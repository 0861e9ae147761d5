"""Matrices made by arithmetic: a model loses more the older it is, and a little by chance."""

from datetime import UTC, datetime, timedelta

import numpy as np

from flightline.retraining.matrix import Matrix

FIRST = datetime(2020, 1, 6, tzinfo=UTC)
WEEK = timedelta(days=7)
ROWS = 100.0  # a day


def ageing(weeks: int = 16, by_week: float = 0.01, noise: float = 0.0, delay: timedelta = timedelta(days=1)) -> Matrix:
    """Make a matrix in which each week of age costs so much mean loss, and drift and excess loss grow with age."""
    random = np.random.default_rng(0)
    model, week = np.indices((weeks, weeks))
    age = np.where(week >= model, week - model, np.nan)
    mean = 0.4 + 0.1 * np.sin(week) + by_week * age + noise * random.normal(size=(weeks, weeks))
    starts = tuple(FIRST + number * WEEK for number in range(weeks))
    later = age > 0
    return Matrix(
        metric="log_loss",
        weeks=starts,
        known_at=tuple(start + WEEK + delay for start in starts),
        rows=np.full((weeks, 7), ROWS),
        losses=np.repeat(mean[:, :, None] * ROWS, 7, axis=2),
        drift=np.where(later, age / weeks, np.nan),
        fires=later & (age >= 6),
        excess=np.where(later, by_week * age, np.nan),
        promotes=later & (age >= 3),
    )
