"""`python -m rlm_rs.cli`."""

from rlm_rs.cli import main

if __name__ == "__main__":
    main()
