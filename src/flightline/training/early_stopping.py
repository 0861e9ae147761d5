"""How long a fit goes on is decided on later rows; this refuses estimators that decide it on random ones."""

from sklearn.pipeline import Pipeline

from flightline.core.errors import TrainingError


def check_stopping(pipeline: Pipeline) -> None:
    """Refuse an unfitted pipeline that would hold back rows at random to see when to stop.

    scikit-learn's early stopping does that: neighbours in time of the rows held back are
    learned from, so that the fit looks better than it is and goes on too long. `training.fit`
    chooses iterations on a later window instead.

    Raises
    ------
    TrainingError
        Naming the step and its setting.
    """
    for step, estimator in pipeline.steps:
        settings = estimator.get_params()
        for name in (name for name in settings if name.endswith("validation_fraction")):
            prefix = name.removesuffix("validation_fraction")
            # Boosting without histograms has no switch of its own: a patience is the switch.
            switch = next(key for key in (f"{prefix}early_stopping", f"{prefix}n_iter_no_change") if key in settings)
            if settings[switch]:
                raise TrainingError(
                    f"step {step!r} ({type(estimator).__name__}) has {switch}={settings[switch]!r} and would stop by a "
                    "random split of the rows; switch it off in training/zoo/ and choose how long to fit "
                    "on the validation window"
                )
