"""What the fixture `start` gives."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Started = subprocess.Popen[bytes]
Start = Callable[..., Started]
