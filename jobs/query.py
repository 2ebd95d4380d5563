"""spark-submit jobs/query.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("query"))
