"""`python -m infra.local`: starts the twin."""

import sys

INTERRUPTED = 130

if sys.argv[1:]:
    sys.exit("The twin takes no arguments: its settings are variables of the environment, see .env.example.")

try:
    from infra.local.twin import main

    sys.exit(main())
except KeyboardInterrupt:  # before it could listen for it
    sys.exit(INTERRUPTED)
