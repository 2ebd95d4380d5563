"""spark-submit jobs/train.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("train"))
