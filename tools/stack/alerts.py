"""Whom Alertmanager tells: its configuration, from one URL of .state/stack.env. No Docker."""

from typing import Any
from urllib.parse import urlsplit

import yaml

SLACK = "hooks.slack.com"


def alertmanager_config(url: str) -> str:
    """Give Alertmanager's configuration: a page is repeated each hour, a ticket each day.

    Parameters
    ----------
    url
        Of a webhook that takes Alertmanager's JSON, or of a Slack webhook; empty: nobody is told.

    Raises
    ------
    ValueError
        If it is no address of http.
    """
    receiver: dict[str, Any] = {"name": "people"}
    if url:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"STACK_ALERTS_URL: got {parts.scheme or 'no scheme'}://..., expected https://host/path")
        if parts.hostname == SLACK:
            text = "{{ range .Alerts }}{{ .Annotations.summary }} {{ .Annotations.action }}\n{{ end }}"
            receiver["slack_configs"] = [{"api_url": url, "send_resolved": True, "text": text}]
        else:
            receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
    route = {
        "receiver": "people",
        "group_by": ["alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "1d",
        "routes": [{"matchers": ['severity="page"'], "receiver": "people", "repeat_interval": "1h"}],
    }
    return yaml.safe_dump({"route": route, "receivers": [receiver]}, sort_keys=False)
