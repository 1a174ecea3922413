"""The predictors: load model packages, score rows, and answer only what is in the audit."""

from shared.serving.market import MarketPredictor
from shared.serving.models import LoadedModel, Models
from shared.serving.prediction import BatchPrediction, SymbolPrediction
from shared.serving.publisher import Publisher
from shared.serving.tabular import RowPrediction, TabularAnswer, TabularPredictor

__all__ = [
    "BatchPrediction",
    "LoadedModel",
    "MarketPredictor",
    "Models",
    "Publisher",
    "RowPrediction",
    "SymbolPrediction",
    "TabularAnswer",
    "TabularPredictor",
]
