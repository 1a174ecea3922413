"""The predictor: loads model packages, scores feature rows, and answers only what is in the audit."""

from shared.serving.market import MarketPredictor
from shared.serving.models import LoadedModel, Models
from shared.serving.prediction import BatchPrediction, SymbolPrediction
from shared.serving.publisher import Publisher

__all__ = ["BatchPrediction", "LoadedModel", "MarketPredictor", "Models", "Publisher", "SymbolPrediction"]
