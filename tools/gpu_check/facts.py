"""Print the software of this machine for a report: Python, its headers, compilers, torch. Does not
import torch."""

import os
import platform
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("torch", "triton", "transformers", "numpy", "pandas", "pyarrow", "psutil"),
    "nvidia-ml-py",
)


def main() -> None:
    has_header = Path(sysconfig.get_path("include"), "Python.h").is_file()
    system = f"{platform.platform()}, {os.cpu_count()} processors"
    print(f"python    {platform.python_version()} on {system}")
    print(f"Python.h  {'there' if has_header else 'missing: compile=true will be unsupported'}")
    for tool in ("gcc", "clang", "nvcc", "ptxas"):
        print(f"{tool:<9} {'there' if shutil.which(tool) else 'missing'}")
    for package in PACKAGES:
        print(f"{package:<13} {_version(package)}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    main()
