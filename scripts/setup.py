#!/usr/bin/env python3
"""Makes .venv: the locked packages, Horovod, Java and Delta's jars; `make setup` runs it.

Standard library only. Any Python 3 may start it: it finds Python 3.11 and goes on with that.
"""

import os
import sys

from steps import find_python


def main():
    find_python.go_on_with(os.path.abspath(__file__))
    # These need 3.11, so not before the line above.
    from steps import packages, run, ui

    try:
        run.setup(check_only="--check" in sys.argv[1:])
    except ui.SetupError as error:
        ui.fail(str(error))
    except KeyboardInterrupt:
        ui.fail("interrupted; run `make setup` again, it goes on from what is there")
    except OSError as error:
        ui.fail(packages.explain_os_error(error))


if __name__ == "__main__":
    main()
