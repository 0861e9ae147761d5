"""The training of the toy problem as a flow: as the one of `pipelines.training`, with the project as an argument."""

from prefect import flow

from flightline.core.project import Project
from flightline.training.fit import TrainingParameters
from pipelines.training import TrainingResult, run_training

LOGISTIC = TrainingParameters(model="logistic_regression", max_iterations=30)
BOOSTED = TrainingParameters(model="hist_gradient_boosting", max_iterations=30)


@flow(validate_parameters=False)
def toy_training(project: Project, parameters: TrainingParameters = BOOSTED) -> TrainingResult:
    return run_training(project, parameters)
