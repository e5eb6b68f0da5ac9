"""Whether a service answers at a URL: exit status 0 if it does. For the health checks of containers."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

SECONDS = 4


def main(url: str) -> int:
    """Ask once."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return 0
    except (urllib.error.URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
