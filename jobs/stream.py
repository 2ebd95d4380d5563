"""spark-submit jobs/stream.py --help"""

import sys

from tfspark.cli import main

sys.exit(main("stream"))
