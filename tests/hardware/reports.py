"""The public report that a row is from, `owner/repository#number` on GitHub; NONE_FOUND where the
oddity is known by other ways only."""

import re

NONE_FOUND = "none found"
REPORT = re.compile(rf"[\w.-]+/[\w.-]+#\d+|{NONE_FOUND}")
