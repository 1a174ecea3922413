"""The direction of a symbol's close over the next candle, from its own past candles."""

from __future__ import annotations

from shared.problems.spec import Algorithm, Candidate, Gate, MarketProblem

PROBLEM = MarketProblem(
    name="market_signal",
    model_name="market-signal",
    title="Direction of the next candle's close",
    feature_set="technical",
    horizon=1,
    classes=("down", "up"),
    threshold=0.5,
    candidates=(
        Candidate(Algorithm.LOGISTIC_REGRESSION, {"C": 1e-3}),
        Candidate(
            Algorithm.RANDOM_FOREST,
            {"n_estimators": 200, "max_depth": 8, "max_samples": 0.1, "min_leaf_share": 0.01},
        ),
        Candidate(
            Algorithm.HIST_GRADIENT_BOOSTING,
            {
                "max_iter": 100,
                "learning_rate": 0.03,
                "max_leaf_nodes": 8,
                "max_features": 0.5,
                "min_leaf_share": 0.01,
            },
        ),
        Candidate(
            Algorithm.LIGHTGBM,
            {
                "n_estimators": 100,
                "learning_rate": 0.03,
                "num_leaves": 8,
                "colsample_bytree": 0.5,
                "min_leaf_share": 0.01,
            },
        ),
        Candidate(
            Algorithm.XGBOOST,
            {
                "n_estimators": 100,
                "learning_rate": 0.03,
                "max_depth": 3,
                "colsample_bytree": 0.5,
                "min_leaf_share": 0.01,
            },
        ),
    ),
    primary_metric="auc",
    gates=(
        Gate("auc_above_chance", "auc.low", 0.5, "it ranks up days above down days better than chance"),
        Gate(
            "log_loss_beats_base_rate",
            "log_loss_gain.low",
            0.0,
            "its probabilities say more than the training years' share of up days",
        ),
        Gate("enough_blocks", "blocks", 19, "the intervals rest on at least 20 blocks of time"),
    ),
    embargo=5,
    leak_auc=0.55,
    schedule="0 2 * * 0",
)
