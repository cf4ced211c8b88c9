"""The generator of the reference lies next to the pages that it makes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
