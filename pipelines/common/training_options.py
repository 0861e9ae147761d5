"""From the command line and a file of settings to what is to be learned."""

import argparse
import json
from pathlib import Path

from flightline.core.errors import TrainingError
from flightline.training.fit import TrainingParameters
from flightline.training.zoo.entry import Setting


def add_options(parser: argparse.ArgumentParser, models: str) -> None:
    """Add the options of `make train`."""
    parser.add_argument("--model", help=f"{models}; default: {TrainingParameters.model}, or that of --parameters")
    parser.add_argument("--seed", type=int, default=TrainingParameters.seed, help="seed of everything random")
    parser.add_argument("--parameters", type=Path, help="a file of settings, as `make tune` writes it")
    parser.add_argument("--pca-components", type=int, help="replace numbers by so many principal components")
    parser.add_argument("--kmeans-segments", type=int, help="add the distances to so many k-means centres")


def parameters_of(options: argparse.Namespace) -> TrainingParameters:
    """Bring the options into parameters.

    Raises
    ------
    TrainingError
        If the file is not one of settings, or of another model than asked for.
    """
    model, settings = read_settings(options.parameters) if options.parameters else (None, {})
    if model and options.model and options.model != model:
        raise TrainingError(f"{options.parameters} holds settings of {model}, but MODEL is {options.model}")
    return TrainingParameters(
        model=options.model or model or TrainingParameters.model,
        seed=options.seed,
        settings=tuple(settings.items()),
        pca_components=options.pca_components,
        kmeans_segments=options.kmeans_segments,
    )


def read_settings(file: Path) -> tuple[str, dict[str, Setting]]:
    """Read model and settings from a file that `make tune` wrote.

    Raises
    ------
    TrainingError
        If it is missing or something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return str(content["model"]), dict(content["settings"])
    except OSError as err:
        raise TrainingError(f"there is no readable {file}; `make tune` writes such a file") from err
    except (ValueError, TypeError, KeyError) as err:
        raise TrainingError(f'{file} is no JSON of the form {{"model": ..., "settings": {{...}}}}: {err}') from err
