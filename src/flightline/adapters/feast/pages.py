"""Feast's own pages, as an application: `feast ui` serves them too, but answers whatever name it is asked by.

https://docs.feast.dev/reference/alpha-web-ui
"""

from typing import Any

from flightline.adapters.feast.feature_store import open_store
from flightline.core.settings import Settings


def feast_pages(settings: Settings) -> Any:
    """Open Feast's pages on the store of the settings' profile; gives an ASGI application."""
    from feast.ui_server import get_app

    store = open_store(settings)
    return get_app(store, project_id=store.project)
