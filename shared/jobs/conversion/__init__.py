"""From a file that somebody has uploaded to a model as it is served: in a process of its own, in bounds.

`sandbox` starts that process and reads what it gives; `python -m shared.jobs.conversion FOLDER` is the
process. It imports what it needs, shuts itself in (`limits`), and only then looks at the file: `of_onnx`,
`of_lightgbm`, `of_xgboost` and `of_skops` read it, and `trial` has the outcome prove itself.
"""
