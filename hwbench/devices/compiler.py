"""What torch.compile needs of a machine: a compiler, Python's headers, a cache of its own."""

import getpass
import os
import re
import shlex
import shutil
import sysconfig
import tempfile
from pathlib import Path

import torch

from hwbench.records import Unsupported


def require_compiler(variable: str, names: list[str]) -> None:
    """Raise Unsupported, with the cure, unless this machine has Python's headers and a compiler
    that torch.compile can call: the one in the environment variable `variable`, or one of
    `names`."""
    names = shlex.split(os.environ.get(variable, ""))[:1] or names  # as in CC="ccache gcc"
    if not any(shutil.which(name) for name in names):
        raise Unsupported(
            f"compile=true needs a compiler and there is no {' or '.join(names)} here; "
            f"install one, name it in {variable}, or use compile=false"
        )
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise Unsupported(
            "compile=true needs Python's headers; install them (python3-dev), or use compile=false"
        )


def separate_caches() -> None:
    """Give inductor a cache folder for this version of torch and these instructions.

    From its default folder it would load code that another version compiled, or that uses
    instructions which are turned off now.
    """
    instructions = torch.backends.cpu.get_cpu_capability()
    name = re.sub(r"[^\w.+-]", "_", f"{_user()}-{torch.__version__}-{instructions}")
    folder = Path(tempfile.gettempdir(), f"torchinductor-{name}")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return str(os.getuid())
