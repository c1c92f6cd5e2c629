"""The small text files in which Linux describes the machine, under /proc and /sys."""

from pathlib import Path

ROOT = Path("/")
"""Where all of them lie; tests lay out a machine of their own elsewhere."""


def read(file: str, root: Path | None = None) -> str | None:
    r"""The text of a file by its path below `root` (ROOT), without the white space around it; None
    if it cannot be read.

    Vendors write names in any bytes: what is not UTF-8 becomes an escape, `\xf8`.
    """
    try:
        content = ((root or ROOT) / file).read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return content.strip()
