"""BentoML (https://docs.bentoml.com) with the same model."""

import os

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Model:
    """Ready rows of features to probabilities."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, instances: list[dict]) -> list[float]:
        """Predict for each row."""
        frame = pd.DataFrame(instances, columns=list(self.model.feature_names_in_))
        return self.model.predict_proba(frame)[:, 1].tolist()
