"""`python -m infra.local`: starts the twin."""

import sys

from infra.local.twin import main

sys.exit(main())
