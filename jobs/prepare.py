"""spark-submit jobs/prepare.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("prepare"))
