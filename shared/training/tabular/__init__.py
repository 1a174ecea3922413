"""Training of tabular problems: from a file of rows to a fitted model, with an honest account of its worth.

`source` reads the rows, `validation` tells what is wrong with them (with pandera), `dataset` encodes what is
left. `run.train` does the work: `contest` holds the candidates against each other in repeated stratified
cross-validation, `decision` calibrates and cuts scores without looking at what they are judged on, `judge`
measures, `selection` takes off what choosing the best adds, `comparison` tests two recipes on the same folds,
`suspicion` doubts what is too good, `findings` and `report` tell.

Why pandera: it collects every failure with its column, its row, its check and its value in one pass (lazy
validation), without a service or a project folder as Great Expectations has, and it is typed and kept up. It
runs the checks and keeps the account; what is right and what is wrong is decided by
`shared.tabular.table.encode_table`, the one encoding, so that no row is called good here and refused when it
is served.
"""
