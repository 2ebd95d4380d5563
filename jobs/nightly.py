"""spark-submit jobs/nightly.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("nightly"))
