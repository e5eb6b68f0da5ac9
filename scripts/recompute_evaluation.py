"""Evaluate an execution again: `rlm finetune recompute`."""

from __future__ import annotations

import sys

from rlm_rs.cli import main

if __name__ == "__main__":
    main(["finetune", "recompute", *sys.argv[1:]])
