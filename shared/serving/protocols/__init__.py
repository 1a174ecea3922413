"""The ecosystem's ways to ask for predictions: Open Inference Protocol, KServe v1 and MLflow's scoring.

Each module turns a request of one protocol into rows or codes of a model's columns, and what was scored into
an answer of it. What they check and how they encode is the same: so is every bit of what they answer.
"""
