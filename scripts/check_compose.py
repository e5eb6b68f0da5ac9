"""Read compose.yaml as the Compose Specification has it, and fail on what it does not know."""

from __future__ import annotations

import sys
from pathlib import Path

from compose_spec import PyOptions

FILE = Path(__file__).resolve().parent.parent / "compose.yaml"


def main() -> int:
    """Print the services and return the exit status."""
    try:
        composed = PyOptions(apply_merge=True).from_yaml(FILE.read_text(encoding="utf-8"))
        composed.validate()
    except ValueError as error:
        print(f"{FILE.name}: {error}", file=sys.stderr)
        return 1
    print(f"{FILE.name}: {', '.join(composed.service_names())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
