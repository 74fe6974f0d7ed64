"""`python -m lmmstudy` is the command `lmm`."""

import sys

from lmmstudy.cli import main

if __name__ == "__main__":
    sys.exit(main())
