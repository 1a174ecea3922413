"""Drift of live models: the rows since training, judged by each package's own profile, kept and told.

`windows` gathers rows, `judging` asks `shared.drift` about each length of window, `desk` runs a check,
`announcing` tells of it. `record` and `checks` are what is kept, `answers` what the API shows: who only
shows checks imports these, and no numpy.
"""
