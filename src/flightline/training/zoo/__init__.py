"""The zoo: pipelines by task and name, each with its own preprocessing inside.

Every file of this folder that has `MODELS` is part of it, so that a new estimator is a new file
(docs/how-to/add-a-model.md). The files import without the packages of their models.

A pipeline takes the feature frame as it is: float64 columns that may hold missing values,
and text columns with categories that may be missing or unseen. What it needs on top, it does
itself, so that no model can be judged with another's preprocessing.

No model reweights classes: its probabilities would no longer be shares
(docs/decisions/0008-probabilities.md).
"""

import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import get_args

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.training.zoo.entry import ZooModel

FEW_ROWS = 50_000


def find_models(modules: Sequence[ModuleType]) -> dict[Task, dict[str, ZooModel]]:
    """Collect the models of modules by task and name.

    Raises
    ------
    TrainingError
        If two have the same name.
    """
    found: dict[Task, dict[str, ZooModel]] = {task: {} for task in get_args(Task)}
    for module in modules:
        for task, models in getattr(module, "MODELS", {}).items():
            if twice := sorted(found[task].keys() & models.keys()):
                raise TrainingError(f"{module.__name__} has {', '.join(twice)}, which another file of the zoo has too")
            found[task] |= models
    return found


def _modules() -> Iterator[ModuleType]:
    names = {found.name for found in pkgutil.iter_modules(__path__)}
    # scikit-learn's come first: a baseline leads each list.
    return (
        import_module(f"{__name__}.{name}") for name in sorted(names, key=lambda name: (name != "scikit_learn", name))
    )


ZOO: Mapping[Task, Mapping[str, ZooModel]] = find_models([*_modules()])


def find_model(task: Task, name: str) -> ZooModel:
    """Look a model up by task and name.

    Raises
    ------
    TrainingError
        If the zoo has no such model for the task, or a package of it is not installed.
    """
    models = ZOO[task]
    if name not in models:
        raise TrainingError(f"no {task} model is named {name!r}; MODEL is one of: {', '.join(models)}")
    if missing := models[name].missing_packages:
        raise TrainingError(
            f"{name} needs the package {', '.join(missing)}, which this environment lacks; "
            f"`{models[name].installed_by}` brings it, `make image EXTRAS=...` into images"
        )
    return models[name]


def baseline_of(task: Task) -> ZooModel:
    """Give the model of a task that any other must beat."""
    return next(model for model in ZOO[task].values() if model.is_baseline)


def trusted_types() -> frozenset[str]:
    """Give what the files of all models hold besides what skops trusts by itself."""
    return frozenset(name for models in ZOO.values() for model in models.values() for name in model.trusted_types)
