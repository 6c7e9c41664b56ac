"""See trainer/standalone.py."""

import sys

from trainer.standalone import main

if __name__ == "__main__":
    sys.exit(main())
