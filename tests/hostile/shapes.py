"""JSON of other shapes than a reader expects: values as they are spelled, and documents with one of
their places changed."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from hostile.texts import text

HOLE = "@@hole@@"
DROP = object()
DIGITS = "9" * 5000
DEPTHS = (50, 2000, 100_000)

Path = tuple[str | int, ...]


def spelled(rng: Random) -> str:
    """A value as JSON, or nearly: of any type, out of any bounds, nested deep, or a hostile
    text."""
    if rng.random() < 0.3:
        return json.dumps(text(rng), ensure_ascii=rng.random() < 0.5)
    return rng.choice(
        [
            *("null", "true", "false", "0", "-1", "1", "0.5", "-0.0", "1e-320", "1e308", "1e400"),
            *("-1e400", "NaN", "Infinity", "-Infinity", "2147483648", "9223372036854775807"),
            *("9223372036854775808", "-9223372036854775809", DIGITS, f"-{DIGITS}", f"1.{DIGITS}"),
            *('""', '"0"', '"NaN"', '"\\ud800"', '"\\u0000"', '"\\udfff\\ud800"'),
            *("[]", "{}", "[[]]", '{"": {}}', "[null]", "[1, 2, 3]", '["a", "b"]', '{"a": 1}'),
            *('{"\\ud800": 1}', "[1e400]", '[{"a": [{}]}]', '{"policy": null, "cases": null}'),
            *(
                "[0" + ", 0" * 20_000 + "]",
                "{" + ", ".join(f'"k{n}": {n}' for n in range(5000)) + "}",
            ),
            *(nested(rng, depth) for depth in DEPTHS),
        ]
    )


def nested(rng: Random, depth: int) -> str:
    """Brackets or objects in one another."""
    opening, closing = rng.choice([("[", "]"), ('{"a": ', "}"), ('[{"": ', "}]")])
    return opening * depth + "0" + closing * depth


def changed(rng: Random, content: Any) -> str:
    """The document with one place changed, taken out, named twice or renamed."""
    places = list(_places(content))
    path = rng.choice(places)
    return replaced(content, path, rng.choice([DROP, *[spelled(rng)] * 5]))


def replaced(content: Any, path: Path, spelling: Any) -> str:
    """The document with the value at `path` spelled otherwise, or taken out."""
    if not path:
        return "" if spelling is DROP else spelling
    whole = json.loads(json.dumps(content))
    place = whole
    for key in path[:-1]:
        place = place[key]
    if spelling is DROP:
        del place[path[-1]]
        return json.dumps(whole)
    place[path[-1]] = HOLE
    return json.dumps(whole).replace(json.dumps(HOLE), spelling)


def renamed(rng: Random, content: Any) -> str:
    """The document with one name replaced by a hostile one, or standing twice."""
    names = sorted({key for path in _places(content) for key in path if isinstance(key, str)})
    old, whole = json.dumps(rng.choice(names)), json.dumps(content)
    if rng.random() < 0.5:
        return whole.replace(f"{old}:", f"{old}: {spelled(rng)}, {old}:", 1)
    return whole.replace(f"{old}:", f"{json.dumps(text(rng))}:")


def broken(rng: Random, whole: str) -> str:
    """The text cut short, with a character changed, or with more behind it."""
    at = rng.randrange(len(whole) + 1)
    return rng.choice(
        [
            whole[:at],
            whole[:at] + rng.choice('{}[]",:\x00') + whole[at + 1 :],
            whole + whole,
            whole + "x",
        ]
    )


def _places(content: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _places(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content[:4]):
            yield from _places(value, (*path, index))
