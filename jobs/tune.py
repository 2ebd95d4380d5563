"""spark-submit jobs/tune.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("tune"))
