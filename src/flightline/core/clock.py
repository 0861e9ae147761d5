"""The event clock: the one "now" that features, labels, ttl and the service are judged by.

It is either the time of day, or set to a moment so that past data can be lived through.
Where it stands is read by `adapters.event_clock`; here are the rules.
"""

from datetime import UTC, datetime, timedelta

from flightline.core.errors import ClockError


def parse_moment(text: str) -> datetime:
    """Read an ISO 8601 moment with a time zone, as UTC.

    Raises
    ------
    ClockError
        If it is not one.

    Examples
    --------
    >>> parse_moment("2013-12-31T07:00:00-05:00").isoformat()
    '2013-12-31T12:00:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise ClockError(f"got {text!r}; expected an ISO 8601 moment such as 2013-12-31T12:00:00+00:00") from err
    if moment.tzinfo is None:
        raise ClockError(f"got {text!r} without a time zone; add one, for example {text}+00:00")
    return moment.astimezone(UTC)


def is_late_request(prediction_time: datetime, clock: datetime) -> bool:
    """Tell whether a request comes after its prediction time, and is answered as of the clock.

    Examples
    --------
    >>> noon = parse_moment("2013-12-31T12:00:00+00:00")
    >>> is_late_request(noon - timedelta(minutes=1), noon), is_late_request(noon, noon)
    (True, False)
    """
    return prediction_time < clock


def is_stale(event_timestamp: datetime, ttl: timedelta, moment: datetime) -> bool:
    """Tell whether a feature value is older than its view's ttl; the edge is still fresh.

    A ttl of zero means that values never go stale, as in Feast.
    """
    return bool(ttl) and event_timestamp + ttl < moment
