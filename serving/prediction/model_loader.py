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
from flightline.core.errors import (
    FeatureError,
    FlightlineError,
    MeaningError,
    ModelFileError,
    SignatureError,
    StoredCodeError,
)
from flightline.core.project import Project
from serving.prediction.predictor import FeatureReader, Predictor
from serving.prediction.self_test import run_self_test
from serving.telemetry.metrics import (
    REGISTRIES_REFUSED,
    clear_refused_model,
    record_bad_signature,
    record_refused_model,
    set_served,
)

LOG = logging.getLogger("serving")
RETRY_SECONDS = 10.0
NO_MODEL = "no model has been promoted yet: run `make train`"


def open_feature_service(project: Project) -> FeatureReader:
    """Open the feature service of the project's problem in Feast."""
    return OnlineFeatures.open(project.settings, project.problem.feature_service)


@dataclass(frozen=True)
class ServingState:
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


class ModelLoader:
    """Opens what the settings name, and opens it anew when it has changed.

    Parameters
    ----------
    project
        Where the models' folder and the feature store are, and what the model must be of.
    open_features
        From the project to a feature store.
    """

    def __init__(self, project: Project, open_features: Callable[[Project], FeatureReader] = open_feature_service):
        self._project = project
        self._settings = project.settings
        self._open_features = open_features
        self._stamps: tuple[object, object] = (None, None)
        self._retry_at: float | None = None
        self._closed: list[FeatureReader] = []
        self.state = ServingState(reason="the service is starting")

    def refresh(self) -> bool:
        """Open again what has changed since the last call, or has failed; say whether anything is new.

        What is new replaces the old only if it works; otherwise the old stays and the reason is
        kept beside it.
        """
        stamps = (folder_stamp(self._settings.serving_models_dir), registry_stamp(self._settings))
        is_retry = self._retry_at is not None and time.monotonic() >= self._retry_at
        if stamps == self._stamps and not is_retry:
            return False
        # What was refused is looked at again whatever has changed, or it would no longer be said.
        has_refused = self._retry_at is not None
        changed = [has_refused or new != known for new, known in zip(stamps, self._stamps, strict=True)]
        old = self.state.predictor
        model, model_error = self._new_model(changed[0], old)
        features, features_error = self._new_features(changed[1], old)
        self._stamps, self._retry_at = stamps, None
        self.state = self._pair(old, model, features, list(filter(None, (model_error, features_error))))
        self._close_unused(old, features)
        _show_in_metrics(self.state)
        return True

    def _new_model(self, is_changed: bool, old: Predictor | None) -> tuple[ServedModel | None, str | None]:
        if old is not None and not is_changed:
            return old.model, None
        try:
            model = load_served_model(self._settings.serving_models_dir, self._project)
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
            return self._open_features(self._project), None
        except FeatureError as err:
            LOG.error("the feature store cannot be opened", exc_info=err)
            if isinstance(err, StoredCodeError):
                REGISTRIES_REFUSED.inc()
            return None, str(err)

    def _pair(
        self, old: Predictor | None, model: ServedModel | None, features: FeatureReader | None, errors: list[str]
    ) -> ServingState:
        """Take the first pair that works: all new, the old model on new features, all old."""
        old_model, old_features = (old.model, old.features) if old else (None, None)
        for candidate, store in ((model, features), (old_model, features), (model, old_features)):
            if candidate is None or store is None:
                continue
            try:
                run_self_test(predictor := Predictor(self._project, candidate, store))
            except FlightlineError as err:
                LOG.error("version %s cannot serve: %s", candidate.manifest.version, err, exc_info=err.__cause__)
                if isinstance(err, MeaningError):
                    record_bad_signature("features")
                errors = [*errors, str(err)]
                continue
            return self._opened(predictor, errors)
        if old is not None:
            return replace(self.state, refused=self._refusal(errors))
        self._retry_at = time.monotonic() + RETRY_SECONDS
        reason = "; ".join(dict.fromkeys(errors))
        if reason != self.state.reason:
            LOG.warning("not ready: %s", reason)
        return ServingState(reason=reason, refused=read_refusal(self._settings.serving_models_dir))

    def _opened(self, predictor: Predictor, errors: list[str]) -> ServingState:
        manifest = predictor.model.manifest
        LOG.info("ready: %s version %s on %s", manifest.name, manifest.version, manifest.feature_service)
        return ServingState(predictor, None, self._refusal(errors), datetime.now(UTC))

    def _refusal(self, errors: list[str]) -> Refusal | None:
        """Say what is not served: what the model sync refused, or what could not be used here."""
        if not errors:
            return read_refusal(self._settings.serving_models_dir)
        self._retry_at = time.monotonic() + RETRY_SECONDS
        return Refusal(version=self._wanted_version(), reason="; ".join(dict.fromkeys(errors)))

    def _wanted_version(self) -> str:
        return folder_stamp(self._settings.serving_models_dir).version or "none"

    def _close_unused(self, old: Predictor | None, opened: FeatureReader | None) -> None:
        """Close feature stores that are no longer read; one is kept until the next change, for requests under way."""
        for features in self._closed:
            features.close()
        live = self.state.predictor.features if self.state.predictor else None
        seen = (old.features if old else None, opened)
        unused = [store for store in seen if store is not None and store is not live]
        self._closed = list({id(store): store for store in unused}.values())

    def close(self) -> None:
        """Close everything."""
        live = [self.state.predictor.features] if self.state.predictor else []
        for features in (*self._closed, *live):
            features.close()


def _show_in_metrics(state: ServingState) -> None:
    """Let the metrics show what is served and what is refused; whether the worker is ready is `Readiness`' to say."""
    registered = state.predictor.model.manifest.registered_at if state.predictor else None
    set_served("champion", state.version, registered or state.opened_at)
    if state.refused is None:
        clear_refused_model()
    else:
        record_refused_model(state.refused.about)
        if state.refused.about == "signature":  # by the model sync; what was refused here has been counted
            record_bad_signature("champion")
