"""`python -m infra.local`: starts the twin."""

import sys

INTERRUPTED = 130

try:
    from infra.local.twin import main

    sys.exit(main())
except KeyboardInterrupt:  # before it could listen for it
    sys.exit(INTERRUPTED)
