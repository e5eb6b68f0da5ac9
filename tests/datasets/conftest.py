"""What the library `datasets` makes of what is built. It is heavy: `make test-datasets` asks for it."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("RLM_TEST_DATASETS") else ["test_*.py"]
