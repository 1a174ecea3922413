"""Whether a patient has heart disease, from 13 findings: the Cleveland part of the UCI data set."""

from __future__ import annotations

from shared.problems.spec import Algorithm, Candidate, Gate, TabularProblem, Target
from shared.tabular import Column, Columns

PROBLEM = TabularProblem(
    name="heart_disease",
    model_name="heart-disease",
    title="Heart disease",
    classes=("absent", "present"),
    data="package:cleveland.csv",
    source=(
        "Janosi, Steinbrunn, Pfisterer, Detrano: Heart Disease. UCI Machine Learning Repository, 1989. "
        "https://doi.org/10.24432/C52P4X. Licence: CC BY 4.0"
    ),
    columns=Columns(
        (
            Column(
                name="age",
                type="integer",
                minimum=0,
                maximum=120,
                nullable=False,
                unit="years",
                description="Age",
            ),
            Column(
                name="sex", type="category", categories=(0, 1), nullable=False, description="0 female, 1 male"
            ),
            Column(
                name="cp",
                type="category",
                categories=(1, 2, 3, 4),
                description="Chest pain: 1 typical angina, 2 atypical angina, 3 other pain, 4 none",
            ),
            Column(
                name="trestbps",
                type="number",
                minimum=1,
                maximum=300,
                unit="mm Hg",
                description="Blood pressure at rest, on admission",
            ),
            Column(
                name="chol",
                type="number",
                minimum=1,
                maximum=1000,
                unit="mg/dl",
                description="Serum cholesterol",
            ),
            Column(
                name="fbs",
                type="category",
                categories=(0, 1),
                description="Fasting blood sugar above 120 mg/dl: 0 no, 1 yes",
            ),
            Column(
                name="restecg",
                type="category",
                categories=(0, 1, 2),
                description=(
                    "Electrocardiogram at rest: 0 normal, 1 ST-T wave abnormality, "
                    "2 left ventricular hypertrophy"
                ),
            ),
            Column(
                name="thalach",
                type="number",
                minimum=1,
                maximum=250,
                unit="beats per minute",
                description="Highest heart rate reached",
            ),
            Column(
                name="exang",
                type="category",
                categories=(0, 1),
                description="Angina by exercise: 0 no, 1 yes",
            ),
            Column(
                name="oldpeak",
                type="number",
                minimum=-10,
                maximum=10,
                unit="mm",
                description="ST depression by exercise relative to rest",
            ),
            Column(
                name="slope",
                type="category",
                categories=(1, 2, 3),
                description="ST segment at peak exercise: 1 upsloping, 2 flat, 3 downsloping",
            ),
            Column(
                name="ca",
                type="integer",
                minimum=0,
                maximum=3,
                description="Major vessels coloured by fluoroscopy",
            ),
            Column(
                name="thal",
                type="category",
                categories=(3, 6, 7),
                description="Thallium scan: 3 normal, 6 fixed defect, 7 reversible defect",
            ),
        )
    ),
    target=Target("num", {"absent": (0,), "present": (1, 2, 3, 4)}),
    candidates=(
        Candidate(Algorithm.LOGISTIC_REGRESSION, {"C": 0.3}),
        Candidate(Algorithm.RANDOM_FOREST, {"n_estimators": 300, "min_samples_leaf": 3, "max_features": 0.1}),
        Candidate(
            Algorithm.XGBOOST,
            {
                "n_estimators": 150,
                "max_depth": 3,
                "learning_rate": 0.03,
                "subsample": 0.7,
                "colsample_bytree": 0.5,
                "min_child_weight": 5,
            },
        ),
        Candidate(
            Algorithm.LIGHTGBM,
            {
                "n_estimators": 150,
                "num_leaves": 7,
                "learning_rate": 0.03,
                "subsample": 0.7,
                "subsample_freq": 1,
                "colsample_bytree": 0.5,
            },
        ),
    ),
    primary_metric="f1",
    gates=(
        Gate("f1_above_three_quarters", "f1.low", 0.75, "F1 is above 0.75"),
        Gate("better_than_majority", "accuracy_gain.low", 0.0, "it is right more often than the majority"),
        Gate(
            "log_loss_beats_prior",
            "log_loss_gain.low",
            0.0,
            "its probabilities say more than the share of the ill",
        ),
    ),
    folds=5,
    repeats=10,
    leak_auc=0.93,
    schedule="",
)
