"""What the service opens once and keeps: the model and the feature store.

Nothing here stops the service from starting: what cannot be opened becomes the reason why it
is not ready, to be read at the model's route.
"""

import logging
from dataclasses import dataclass

from flightline.adapters.feast_online import OnlineFeatures
from flightline.adapters.served_model import ServedModel, load_served_model
from flightline.errors import FeatureError, ModelFileError
from flightline.problem import PROBLEM
from flightline.settings import Settings
from serving.prediction import Predictor, rehearse

LOG = logging.getLogger("serving")
NO_MODEL = "no model has been promoted yet: run `make train`, then start the service again"


@dataclass(frozen=True)
class Assets:
    """What was opened at the start.

    Parameters
    ----------
    predictor
        None while the service cannot predict.
    version
        Of the model loaded, if one was.
    reason
        Why it cannot predict, and what to do; None if it can.
    """

    predictor: Predictor | None = None
    version: str | None = None
    reason: str | None = None
    features: OnlineFeatures | None = None

    def close(self) -> None:
        """Close the feature store."""
        if self.features is not None:
            self.features.close()


def open_assets(settings: Settings) -> Assets:
    """Open what the settings name, and say in the log what came of it."""
    model, wrong_model = _open_model(settings)
    features, wrong_features = _open_features(settings)
    reasons = [reason for reason in (wrong_model, wrong_features) if reason]
    predictor = None
    if model is not None and features is not None:
        predictor, reason = _rehearsed(Predictor(model, features))
        reasons += [reason] if reason else []
    version = model.manifest.version if model else None
    if reasons:
        LOG.warning("not ready: %s", "; ".join(reasons))
    else:
        LOG.info("ready: %s version %s on %s", PROBLEM.model_name, version, PROBLEM.feature_service)
    return Assets(predictor, version, "; ".join(reasons) or None, features)


def _open_model(settings: Settings) -> tuple[ServedModel | None, str | None]:
    try:
        model = load_served_model(settings.serving_models_dir)
    except ModelFileError as err:
        LOG.error("the model cannot be loaded", exc_info=err)
        return None, str(err)
    return model, None if model else NO_MODEL


def _open_features(settings: Settings) -> tuple[OnlineFeatures | None, str | None]:
    try:
        return OnlineFeatures.open(settings, PROBLEM.feature_service), None
    except FeatureError as err:
        LOG.error("the feature store cannot be opened", exc_info=err)
        return None, str(err)


def _rehearsed(predictor: Predictor) -> tuple[Predictor | None, str | None]:
    try:
        rehearse(predictor)
    except (ModelFileError, FeatureError) as err:
        LOG.error("the model cannot predict", exc_info=err)
        return None, str(err)
    return predictor, None
