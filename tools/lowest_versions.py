"""The lowest version that pyproject.toml allows of each direct dependency: a requirement
(`name==version`) a line.

    python tools/lowest_versions.py [EXTRA …] [--with NAME==VERSION …]

Takes the core dependencies, the build backend and the extras, with the extras that they name.
`--with` replaces what pyproject.toml says of a name. Exit status 1 if a dependency has no lower
bound.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[(?P<extras>[\w, -]+)\])?(?P<bounds>[^;]*)(?P<marker>;.*)?"
)
LOWER_BOUND = re.compile(r">=\s*([\w.]+)")


def lowest(extras: list[str]) -> dict[str, str]:
    """The requirement for each name: its lower bound as `==`, its marker kept."""
    content = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = content["project"]
    pending = [*content["build-system"]["requires"], *project["dependencies"]]
    pending += [line for extra in extras for line in project["optional-dependencies"][extra]]
    pins = {}
    while pending:
        line = pending.pop(0)
        match = REQUIREMENT.fullmatch(line)
        if match and match["name"] == project["name"]:
            named = [extra.strip() for extra in match["extras"].split(",")]
            pending += [more for extra in named for more in project["optional-dependencies"][extra]]
            continue
        bound = match and LOWER_BOUND.search(match["bounds"])
        if not bound:
            sys.exit(f"pyproject.toml: {line!r} has no lower bound; write one (NAME>=VERSION)")
        pins[match["name"].lower()] = f"{match['name']}=={bound[1]}{match['marker'] or ''}"
    return pins


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("extras", nargs="*")
    parser.add_argument(
        "--with", dest="replaced", action="append", default=[], metavar="NAME==VERSION"
    )
    asked = parser.parse_args()
    pins = lowest(asked.extras)
    pins |= {pin.partition("==")[0].lower(): pin for pin in asked.replaced}
    print("\n".join(pins.values()))


if __name__ == "__main__":
    main()
