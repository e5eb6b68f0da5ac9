"""The type of the fixture that asks the offline policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rlm_rs.core.answers import Answer

Ask: TypeAlias = Callable[..., Answer]
