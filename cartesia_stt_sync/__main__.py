"""``python -m cartesia_stt_sync`` is the command ``cartesia-stt``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
