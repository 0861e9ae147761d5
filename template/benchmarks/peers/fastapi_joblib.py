"""FastAPI with a model from joblib and a frame, as most tutorials have it."""

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Rows(BaseModel):
    """Ready rows of features."""

    instances: list[dict[str, Any]]


@app.get("/ready")
def ready() -> str:
    """Say that it is up."""
    return "ready"


@app.post("/")
def predict(rows: Rows) -> list[float]:
    """Predict for each row."""
    frame = pd.DataFrame(rows.instances, columns=list(model.feature_names_in_))
    return model.predict_proba(frame)[:, 1].tolist()
