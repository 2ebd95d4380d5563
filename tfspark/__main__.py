"""`python -m tfspark COMMAND`."""

import sys

from tfspark.cli import main

sys.exit(main())
