"""The peer as one would write it today: FastAPI, a joblib file loaded at start, rows checked by pydantic.

No authentication, no request log, no audit, no feature computation: the caller sends the finished row.
"""

import os

import joblib
import numpy as np
from fastapi import FastAPI  # type: ignore[import-not-found]  # is in the peer's own environment only
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Row(BaseModel):
    features: list[float]


class Answer(BaseModel):
    up: bool
    probability: float


@app.post("/predict")  # type: ignore[untyped-decorator]  # as above
async def predict(row: Row) -> Answer:
    """Scores on the event loop: faster for one row than FastAPI's thread pool."""
    probability = float(model.predict_proba(np.array([row.features]))[0, 1])
    return Answer(up=probability > 0.5, probability=probability)
