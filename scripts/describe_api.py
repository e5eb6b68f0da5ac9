"""Write the schemas of the API's OpenAPI document, which the web UI's types are generated from.

usage: describe_api.py FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rlm_rs.api.app import create_app


def main() -> int:
    """Write the file: the values that go over the wire, without the routes, which the UI names itself."""
    described = create_app().openapi()
    document = {
        "openapi": described["openapi"],
        "info": {"title": described["info"]["title"], "version": "1"},
        "paths": {},
        "components": {"schemas": described["components"]["schemas"]},
    }
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
