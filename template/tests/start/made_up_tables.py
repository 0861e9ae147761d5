"""Tables that a project may be started from: orders as they come, and rows by the hour, the week and the month."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd


def make_orders(days: int = 400, customers: int = 40, seed: int = 1) -> pd.DataFrame:
    """Orders of a shop whose customers differ: some come often, some send back much."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(1, customers + 1):
        rate, sent_back, size = random.gamma(2, 1 / 20), random.beta(1, 3), random.lognormal(3, 0.5)
        for day in np.flatnonzero(random.random(days) < rate):
            moment = datetime(2023, 1, 1, 9, tzinfo=UTC) + timedelta(
                days=int(day), minutes=int(random.integers(0, 600))
            )
            amount = round(size * random.lognormal(0, 0.3), 2)
            rows.append(
                (
                    customer,
                    moment,
                    amount,
                    "web" if random.random() < 0.7 else "shop",
                    bool(random.random() < sent_back),
                )
            )
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount", "channel", "returned"])
    frame["size"] = pd.cut(frame["amount"], [0, 15, 25, np.inf], labels=["small", "usual", "very big"]).astype(str)
    frame["stars"] = random.integers(1, 6, len(frame))
    return frame.sort_values("ordered_at", ignore_index=True)


def make_weeks(weeks: int = 160, shops: int = 40, seed: int = 1) -> pd.DataFrame:
    """What each of some shops, which have names, sold in a week; a week is named by its Monday."""
    mondays = pd.date_range("2020-01-06", periods=weeks, freq="7D")
    random = np.random.default_rng(seed)
    usual = random.lognormal(5, 0.6, shops)
    season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(weeks) / 52)
    sold = usual * season[:, None] * random.lognormal(0, 0.1, (weeks, shops))
    return pd.DataFrame(
        {
            "shop": np.tile([f"S{number:02d}" for number in range(shops)], weeks),
            "monday": np.repeat(mondays, shops).strftime("%Y-%m-%d"),
            "sold": sold.ravel().round(1),
            "offers": random.integers(0, 9, weeks * shops),
        }
    )


def make_months(months: int = 60, accounts: int = 150, seed: int = 1) -> pd.DataFrame:
    """Whether each of some accounts paid too late in a month; some do often."""
    firsts = pd.date_range("2019-01-01", periods=months, freq="MS", tz="UTC")
    random = np.random.default_rng(seed)
    late = random.random((months, accounts)) < random.beta(1, 3, accounts)
    return pd.DataFrame(
        {
            "account": np.tile(np.arange(1, accounts + 1), months),
            "billed_at": np.repeat(firsts, accounts),
            "due": random.lognormal(4, 0.5, months * accounts).round(2),
            "days_late": np.where(late, random.integers(1, 60, late.shape), 0).ravel(),
        }
    )


def make_hours(days: int = 200, seed: int = 1) -> pd.DataFrame:
    """How many rides began at a place in an hour: one series, without a key."""
    hours = pd.date_range("2023-01-01", periods=24 * days, freq="h", tz="UTC")
    random = np.random.default_rng(seed)
    usual = 40 + 30 * np.sin(2 * np.pi * (hours.hour - 8) / 24) + 10 * (hours.dayofweek < 5)
    return pd.DataFrame({"began": hours, "rides": random.poisson(usual), "rain": random.gamma(0.3, 2, len(hours))})
