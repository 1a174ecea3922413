"""Features: one definition, one program, the same bits offline (`matrix`) and online (`latest`, `rows`).

`definitions` says what the features are, as `expressions` over window `kernels`. `program` compiles a set;
`offline` runs it over many candles, `online` for the last one.
"""

from shared.features.definitions import FEATURE_SETS, Feature
from shared.features.feature_set import FeatureSet, feature_set

__all__ = ["FEATURE_SETS", "Feature", "FeatureSet", "feature_set"]
