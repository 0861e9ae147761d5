"""MLServer (https://mlserver.readthedocs.io) with the same model, by a runtime of ours: its protocol has no frames."""

import json
import os

import joblib
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Model(MLModel):
    """Ready rows of features, as JSON in a tensor of text, to probabilities."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = joblib.load(os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predict for each row."""
        (text,) = StringCodec.decode_input(payload.inputs[0])
        frame = pd.DataFrame(json.loads(text), columns=list(self.model.feature_names_in_))
        answer = json.dumps(self.model.predict_proba(frame)[:, 1].tolist())
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("answers", [answer])])
