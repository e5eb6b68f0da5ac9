"""Report how good a policy is over a file of traces: `rlm finetune evaluate`."""

from __future__ import annotations

import sys

from rlm_rs.cli import main

if __name__ == "__main__":
    main(["finetune", "evaluate", *sys.argv[1:]])
