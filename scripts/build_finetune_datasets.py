"""Build datasets from traces: `rlm finetune build` with the rows and file names of the seed."""

from __future__ import annotations

import sys

from rlm_rs.cli import main

if __name__ == "__main__":
    main(["finetune", "build", "--format", "seed", "--sft-output", "finetune_sft.jsonl", *sys.argv[1:]])
