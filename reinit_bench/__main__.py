"""`python -m reinit_bench` is the command `reinit-bench`."""

import sys

from reinit_bench.cli.main import main

if __name__ == "__main__":  # not in a worker process, which imports the main module again
    sys.exit(main())
