"""`python -m rlm_rs`: the command line."""

from rlm_rs.cli import main

if __name__ == "__main__":
    main()
