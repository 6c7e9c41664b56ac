"""See trainer/standalone.py."""

import sys

from trainer.contract.signals import end_with
from trainer.standalone import main

if __name__ == "__main__":
    sys.exit(end_with(main()))
