"""Market data: from an upstream's answers to sound candles, stored and served.

`candles` are columns of one symbol; `upstream` asks for them (`transport`, `breaker`, `answers`); `checks`
judges them (`findings`, `splits`, `calendar`); `store` keeps them (`entry`, `parts`, `history`); `ingest`
brings the store up to date and `source` serves the newest ones, both by `refresh`.
"""
