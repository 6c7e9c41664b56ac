"""See trainer/alone.py."""

import sys

from trainer.alone import main

if __name__ == "__main__":
    sys.exit(main())
