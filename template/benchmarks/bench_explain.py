"""How long it takes to say what drove an answer: `python -m template.benchmarks.bench_explain`.

On the champion and the online store of `make train`, in this process and without HTTP: the prediction, and what
`:explain` adds to it. Prints medians and 95th percentiles in ms.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from flightline.adapters.event_clock import read_clock
from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.adapters.model_store.served_model import load_served_model
from flightline.adapters.upcoming import upcoming_instances
from flightline.core.errors import ModelFileError
from flightline.core.project import Project, open_project
from flightline.inference.contributions import group_columns
from pipelines.common.command_line import run_command
from serving.prediction.explanation import explain
from serving.prediction.predictor import Predictor

TIMES = 200


def milliseconds(work: Callable[[], object]) -> str:
    """Do something many times on one thread; give its median and its 95th percentile."""
    seconds = []
    with threadpool_limits(1):
        for _ in range(TIMES):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
    median, slow = np.quantile(seconds, [0.5, 0.95]) * 1000
    return f"{median:.1f} ms (95 % within {slow:.1f} ms)"


def show(project: Project) -> None:
    """Measure one instance and twenty."""
    model = load_served_model(project.settings.serving_models_dir, project)
    if model is None or model.profile is None:
        raise ModelFileError("the champion has no typical values, or there is none: run `make train` and `make serve`")
    clock = read_clock(project.settings)
    features = OnlineFeatures.open(project.settings, project.problem.feature_service)
    predictor = Predictor(project, model, features)
    groups = group_columns(model.kinds, features.views, project.request_features)
    found = upcoming_instances(project, clock, project.settings.serving.max_explained)
    instances = [project.schemas.instance.model_validate(each) for each in found]
    for rows in (instances[:1], instances):
        results = predictor.predict(rows, clock)
        print(
            f"{len(rows)} instance(s), {len(groups)} groups of {len(model.kinds)} columns: "
            f"prediction {milliseconds(lambda: predictor.predict(rows, clock))}, "  # noqa: B023  # called at once
            f"explanation {milliseconds(lambda: explain(predictor, results))}"  # noqa: B023
        )
    features.close()


if __name__ == "__main__":
    sys.exit(run_command(lambda: show(open_project())))
