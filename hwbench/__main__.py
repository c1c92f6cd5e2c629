"""`python -m hwbench` and the console script `hwbench`."""

from hwbench.cli import main

if __name__ == "__main__":
    main()
