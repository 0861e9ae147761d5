"""What the service predicts with: a model and a feature store that fit each other, and what is wrong if none does.

Nothing here stops the service from starting: what cannot be opened becomes the reason why it
is not ready, to be read at the model's route.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flightline.adapters.feast.online_features import OnlineFeatures, registry_stamp
from flightline.adapters.model_store.served_model import (
    Refusal,
    ServedModel,
    folder_stamp,
    load_served_model,
    read_refusal,
)
from flightline.core.errors import FeatureError, FlightlineError, ModelFileError, SignatureError
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from serving.prediction.predictor import FeatureReader, Predictor
from serving.prediction.self_test import rehearse
from serving.telemetry.metrics import (
    clear_refused_model,
    record_bad_signature,
    record_refused_model,
    set_ready,
    set_served,
)

LOG = logging.getLogger("serving")
RETRY_SECONDS = 10.0
NO_MODEL = "no model has been promoted yet: run `make train`"


@dataclass(frozen=True)
class Assets:
    """What is predicted with; never changed, but replaced as a whole, so that no request sees half of two.

    Parameters
    ----------
    predictor
        None while the service cannot predict.
    reason
        Why it cannot predict, and what to do; None if it can.
    refused
        The version that should be served and is not, with the reason; None if all is well.
    opened_at
        When these were opened (UTC).
    """

    predictor: Predictor | None = None
    reason: str | None = None
    refused: Refusal | None = None
    opened_at: datetime | None = None

    @property
    def version(self) -> str | None:
        """The version of the model that answers."""
        return self.predictor.model.manifest.version if self.predictor else None


class AssetKeeper:
    """Opens what the settings name, and opens it anew when it has changed.

    Parameters
    ----------
    settings
        Where the models' folder and the feature store are.
    open_features
        From the settings to a feature store.
    """

    def __init__(self, settings: Settings, open_features: Callable[[Settings], FeatureReader] | None = None):
        self._settings = settings
        self._open_features = open_features or _open_features
        self._stamps: tuple[object, object] = (None, None)
        self._retry_at: float | None = None
        self._closed: list[FeatureReader] = []
        self.assets = Assets(reason="the service is starting")

    def refresh(self) -> bool:
        """Open again what has changed since the last call, or has failed; say whether anything is new.

        What is new replaces the old only if it works; otherwise the old stays and the reason is
        kept beside it.
        """
        stamps = (folder_stamp(self._settings.serving_models_dir), registry_stamp(self._settings))
        is_retry = self._retry_at is not None and time.monotonic() >= self._retry_at
        if stamps == self._stamps and not is_retry:
            return False
        changed = [is_retry or new != known for new, known in zip(stamps, self._stamps, strict=True)]
        old = self.assets.predictor
        model, wrong_model = self._new_model(changed[0], old)
        features, wrong_features = self._new_features(changed[1], old)
        self._stamps, self._retry_at = stamps, None
        self.assets = self._pair(old, model, features, [why for why in (wrong_model, wrong_features) if why])
        self._let_go(old, features)
        _tell(self.assets)
        return True

    def _new_model(self, is_changed: bool, old: Predictor | None) -> tuple[ServedModel | None, str | None]:
        if old is not None and not is_changed:
            return old.model, None
        try:
            model = load_served_model(self._settings.serving_models_dir, self._settings)
        except ModelFileError as err:
            LOG.error("the model cannot be loaded", exc_info=err)
            if isinstance(err, SignatureError):
                record_bad_signature("champion")
            return None, str(err)
        return model, None if model else NO_MODEL

    def _new_features(self, is_changed: bool, old: Predictor | None) -> tuple[FeatureReader | None, str | None]:
        if old is not None and not is_changed:
            return old.features, None
        try:
            return self._open_features(self._settings), None
        except FeatureError as err:
            LOG.error("the feature store cannot be opened", exc_info=err)
            return None, str(err)

    def _pair(
        self, old: Predictor | None, model: ServedModel | None, features: FeatureReader | None, wrong: list[str]
    ) -> Assets:
        """Take the first pair that works: all new, the old model on new features, all old."""
        old_model, old_features = (old.model, old.features) if old else (None, None)
        for one, store in ((model, features), (old_model, features), (model, old_features)):
            if one is None or store is None:
                continue
            try:
                rehearse(predictor := Predictor(one, store))
            except FlightlineError as err:
                LOG.error("version %s cannot serve: %s", one.manifest.version, err)
                wrong = [*wrong, str(err)]
                continue
            return self._opened(predictor, wrong)
        if old is not None:
            return replace(self.assets, refused=self._refusal(wrong))
        self._retry_at = time.monotonic() + RETRY_SECONDS
        reason = "; ".join(dict.fromkeys(wrong))
        if reason != self.assets.reason:
            LOG.warning("not ready: %s", reason)
        return Assets(reason=reason, refused=read_refusal(self._settings.serving_models_dir))

    def _opened(self, predictor: Predictor, wrong: list[str]) -> Assets:
        version = predictor.model.manifest.version
        LOG.info("ready: %s version %s on %s", PROBLEM.model_name, version, PROBLEM.feature_service)
        return Assets(predictor, None, self._refusal(wrong), datetime.now(UTC))

    def _refusal(self, wrong: list[str]) -> Refusal | None:
        """Say what is not served: what the watcher refused, or what could not be used here."""
        if not wrong:
            return read_refusal(self._settings.serving_models_dir)
        self._retry_at = time.monotonic() + RETRY_SECONDS
        return Refusal(version=_wanted(self._settings), reason="; ".join(dict.fromkeys(wrong)))

    def _let_go(self, old: Predictor | None, opened: FeatureReader | None) -> None:
        """Close feature stores that are no longer read; one is kept until the next change, for requests under way."""
        for features in self._closed:
            features.close()
        live = self.assets.predictor.features if self.assets.predictor else None
        seen = (old.features if old else None, opened)
        given_up = [one for one in seen if one is not None and one is not live]
        self._closed = list({id(one): one for one in given_up}.values())

    def close(self) -> None:
        """Close everything."""
        live = [self.assets.predictor.features] if self.assets.predictor else []
        for features in (*self._closed, *live):
            features.close()


def _open_features(settings: Settings) -> FeatureReader:
    return OnlineFeatures.open(settings, PROBLEM.feature_service)


def _tell(assets: Assets) -> None:
    """Let the metrics show what is served and what is refused."""
    set_ready(assets.predictor is not None)
    registered = assets.predictor.model.manifest.registered_at if assets.predictor else None
    set_served("champion", assets.version, registered or assets.opened_at)
    if assets.refused is None:
        clear_refused_model()
    else:
        record_refused_model()
        if assets.refused.about == "signature":  # by the watcher; what was refused here has been counted
            record_bad_signature("champion")


def _wanted(settings: Settings) -> str:
    stamp = folder_stamp(settings.serving_models_dir)
    return stamp.version or "none"
