"""`python -m gatepost`."""

import sys

from gatepost.cli.main import main

sys.exit(main())
