"""Numbers as a line of a log from which CloudWatch takes metrics by itself, without an agent and without a right.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import math
import time
from collections.abc import Mapping


def embedded(namespace: str, values: Mapping[str, float], labels: Mapping[str, str] | None = None) -> str:
    """Write values of now as one line, without its end.

    Parameters
    ----------
    namespace
        Of CloudWatch.
    values
        By metric; what is not finite, which CloudWatch does not take, is left out.
    labels
        Dimensions of all of them; none: without a dimension.

    Examples
    --------
    >>> json.loads(embedded("some", {"rows": 2.0, "share": math.nan}))["_aws"]["CloudWatchMetrics"]
    [{'Namespace': 'some', 'Dimensions': [[]], 'Metrics': [{'Name': 'rows'}]}]
    """
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    told = {
        "Namespace": namespace,
        "Dimensions": [sorted(labels or {})],
        "Metrics": [{"Name": name} for name in finite],
    }
    moment = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [told]}
    return json.dumps({"_aws": moment, **(labels or {}), **finite})
