"""The `mlengine` command: speaks HTTP to the twin or to any other base URL.

Exit codes: 0 done; 1 refused or failed (also in part); 2 wrong usage; 3 nobody answers;
130 interrupted. With `--json` standard output is one JSON document, of an error its problem document.

Imports of packages stand inside functions wherever a command can do without them: it starts at once.
"""
