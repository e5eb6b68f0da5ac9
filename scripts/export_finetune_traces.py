"""Write traces of executions as JSON lines: `rlm finetune export`."""

from __future__ import annotations

import sys

from rlm_rs.cli import main

if __name__ == "__main__":
    main(["finetune", "export", *sys.argv[1:]])
