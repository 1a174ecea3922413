"""Search for hyper-parameters, with Optuna's tree-structured Parzen estimator (TPE).

Honest by nesting: each outer fold of the contest has a study of its own that sees that fold's training rows
alone, judged by an inner cross-validation; one more study sees all rows and gives what is fitted in the end.
The figure of the searched candidate is then one of the whole recipe, searching included, on rows that its
studies haven't looked at.

Durable and spread by studies: a study is one document that grows with each finished trial, and what a trial
proposes depends on the seed, its number and the trials before it alone. So a killed task goes on where it
was, and how many tasks share the studies changes the time and not the result, unless the seconds run out.

`records` is light; `spaces`, `study` and `searched` need the training libraries.
"""
