"""`python -m tfspark.doctor`: also where `tfspark` itself does not start."""

import sys

from tfspark.doctor.command import main
from tfspark.errors import TfsparkError

try:
    sys.exit(main(sys.argv[1:]))
except TfsparkError as error:
    print(f"doctor: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
