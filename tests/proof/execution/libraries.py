"""Imports every library that a command of the loop uses, once: importing them takes ten seconds, forking takes none.

The processes that run commands are forked from one that has imported this module (`forked.py`). The project's own
modules come along and are forgotten again, because each copy has its own.
"""

import importlib
import sys
import warnings

OWN = ("flightline", "pipelines", "serving", "tests", "tools", "feature_repo")
COMMANDS = (
    "pipelines.training",
    "pipelines.ingest",
    "pipelines.labels",
    "pipelines.monitoring",
    "pipelines.simulation",
    "pipelines.commands.champion",
    "pipelines.commands.model_sync",
    "flightline.adapters.feast.online_features",
    "flightline.adapters.evidently_reports",
    "pytest",
)


def is_own(name: str) -> bool:
    """Whether a module is of the project, not of a library."""
    return name.split(".")[0] in OWN


def import_libraries() -> None:
    """Import what the commands import, and forget the project's own modules."""
    known = set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in COMMANDS:
            importlib.import_module(name)
    for name in set(sys.modules) - known:
        if is_own(name):
            del sys.modules[name]


import_libraries()
