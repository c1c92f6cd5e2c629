"""Run hwbench's command line and say whether its own process has opened CUDA: `python parent.py run
gemm …`.

A run's parent that holds the device takes memory from what it measures, and its workers see a
stranger on the GPU. Exit status 1 if it does, else that of the command.
"""

import sys
from typing import Any


def main() -> int:
    from hwbench.cli import main as run

    sys.path.pop(0)  # this folder, whose plain names are nothing for the workers
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
