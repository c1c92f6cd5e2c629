"""Small programs that tell something of this machine."""

import subprocess

TIMEOUT_S = 10.0
"""One that takes longer, as on a file system that hangs, tells nothing."""


def output(*words: str) -> str | None:
    r"""What a command prints, without the white space around it; None if it fails.

    Names of files may be any bytes: what is not UTF-8 becomes an escape, `\xf8`.
    """
    try:
        done = subprocess.run(words, capture_output=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="backslashreplace").strip()
