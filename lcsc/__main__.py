"""``python -m lcsc`` is the same as ``lcsc``."""

import sys

from lcsc.cli import main

sys.exit(main())
