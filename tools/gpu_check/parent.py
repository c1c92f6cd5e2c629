"""Run hwbench's command line and report whether its own process has opened CUDA: `python parent.py
run gemm …`.

A parent that holds the device takes memory from what it measures, and its workers see a foreign
process on the GPU. Exit status 1 if it does, else that of the command.
"""

import sys
from typing import Any


def main() -> int:
    from hwbench.cli import main as run

    sys.path.pop(0)  # this folder: its module names must not hide others in the workers
    status: Any = 0
    try:
        run()
    except SystemExit as end:
        status = end.code
    torch = sys.modules.get("torch")
    holds = bool(torch and torch.cuda.is_initialized())
    print(f"parent_holds_cuda: {holds:d}", file=sys.stderr)
    return 1 if holds else status


if __name__ == "__main__":
    sys.exit(main())
