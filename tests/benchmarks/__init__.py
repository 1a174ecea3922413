"""Measurements against the goals of the project, beside peers that do the same work.

`python -m tests.benchmarks` (`make bench`) runs them and prints goals and what was measured; each also runs
alone: `python -m tests.benchmarks.bench_features`, `bench_serving`, `bench_training`. They are not tests:
figures are those of the machine and of what else it does meanwhile.
"""
