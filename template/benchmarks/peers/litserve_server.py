"""LitServe (https://lightning.ai/docs/litserve) with the same model."""

import os
import sys

import joblib
import litserve
import pandas as pd


class Api(litserve.LitAPI):
    """Ready rows of features to probabilities."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = joblib.load(os.environ["MODEL"])

    def predict(self, request: dict) -> list[float]:
        """Predict for each row."""
        frame = pd.DataFrame(request["instances"], columns=list(self.model.feature_names_in_))
        return self.model.predict_proba(frame)[:, 1].tolist()


if __name__ == "__main__":
    litserve.LitServer(Api(), accelerator="cpu").run(
        port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
