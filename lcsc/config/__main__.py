"""``python -m lcsc.config`` prints the description of every key, config/README.md."""

import sys

from lcsc.config import document, read_schema

sys.stdout.write(document(read_schema()))
