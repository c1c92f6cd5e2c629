"""The device's library, built by this machine's C++ compiler once for each version of torch and of
device.cpp."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import torch
from torch.utils import cpp_extension

SOURCE = Path(__file__).with_name("device.cpp")
BUILT = Path(__file__).with_name("build")
COMPILERS = ("g++", "clang++")


class NoCompiler(Exception):
    """This machine has no C++ compiler."""


def build_library() -> Path:
    """The library's file. If it is missing, one of several processes builds it, which takes half a
    minute. NoCompiler if this machine has none."""
    digest = hashlib.sha256(SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:16]
    library = BUILT / f"device-{digest}.so"
    if library.exists():
        return library
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            _build(library)
    return library


def _build(library: Path) -> None:
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        names = " or ".join(COMPILERS)
        raise NoCompiler(f"no C++ compiler ({names}) to build the stand-in for an accelerator")
    unfinished = library.with_suffix(f".{os.getpid()}")
    folders = [f"-I{path}" for path in cpp_extension.include_paths()]
    folders += [f"-L{path}" for path in cpp_extension.library_paths()]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}"
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-w", abi]
    files = [str(SOURCE), "-o", str(unfinished)]
    libraries = ["-lc10", "-ltorch_cpu", "-ltorch"]
    subprocess.run([compiler, *flags, *folders, *files, *libraries], check=True)
    unfinished.replace(library)
