"""spark-submit jobs/score.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("score"))
