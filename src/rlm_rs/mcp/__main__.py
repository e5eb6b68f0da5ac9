"""`python -m rlm_rs.mcp`: the server over standard input and output, as the environment has it.

`rlm mcp` is the same with options.
"""

from __future__ import annotations

import sys

from rlm_rs.core.errors import RlmError
from rlm_rs.mcp.stdio import run
from rlm_rs.settings import load_settings

if __name__ == "__main__":
    try:
        sys.exit(run(load_settings(), ()))
    except RlmError as error:
        print(f"rlm mcp: {error.message}", file=sys.stderr)
        sys.exit(error.exit_code)
