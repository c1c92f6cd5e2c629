"""Run the GPU tests without pytest: `python tools/gpu_check.py`. Exit status 1 if one fails."""

import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def main() -> int:
    import test_gpu

    tests = {name: test for name, test in vars(test_gpu).items() if name.startswith("test_")}
    failed = 0
    for name, test in tests.items():
        try:
            test()
            print(f"ok      {name}")
        except Exception:  # noqa: BLE001 - each test is told by itself
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
