"""What is stored names no person, no place and no secret."""

import timeit

import pytest

from hwbench.privacy import setting, without_places, without_secrets

TOKEN = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zB9dF1hJ3l"
PATHS = {
    "/home/jane/model.json": "…/model.json",
    "/home/jane": "…",
    "/home/jane/": "…",
    "/Users/jane": "…",
    "/": "/",
    "//home/jane/x": "…/x",
    "file:///home/jane/x": "file:…/x",
    "~/x/y.py": "…/y.py",
    "~jane/y.py": "…/y.py",
    "~jane/": "…",
    r"C:\Users\jane\x.py": "…/x.py",
    r"C:\Users\jane": "…",
    "D:/jane/x.py": "…/x.py",
    r"\\server\jane\x.py": "…/x.py",
    "prof_prefix:/home/jane/x,prof:true": "prof_prefix:…/x,prof:true",
    "-I/home/jane/include": "-I…/include",
    "--output=/data/jane/results": "--output=…/results",
    "No such file: '/home/jane/a.bin' (and 2 more)": "No such file: '…/a.bin' (and 2 more)",
    "['/home/jane/a', '/mnt/b']": "['…/a', '…/b']",
    "https://jane:word@host.org/x": "https://…@host.org/x",
    "https://pytorch.org/docs/x": "https://pytorch.org/docs/x",
    "gpt/train": "gpt/train",
    "tokens/s, 5 / 7 and ~3 ms": "tokens/s, 5 / 7 and ~3 ms",
    "../results/r1": "../results/r1",
    "<b>x</b>": "<b>x</b>",
    "python x </home/jane/in >/home/jane/out": "python x <…/in >…/out",
}


@pytest.mark.parametrize(("text", "shown"), PATHS.items())
def test_a_path_from_a_root_keeps_its_last_part(text, shown):
    assert without_places(text) == shown


@pytest.mark.parametrize("home", ["/srv/jane doe", "/home/jane doe", r"C:\Users\jane doe"])
def test_the_home_folder_is_known_whatever_its_name(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("os.path.expanduser", lambda path: home)
    assert without_places(f"see {home}/a/b.txt, {home}/c") == "see …/b.txt, …/c"
    assert "doe" not in without_places(home)


COMMANDS = {
    "--token": (["--token", "abc", "-v"], ["--token", "…", "-v"]),
    "--hf-token=": (["--hf-token=abc"], ["--hf-token=…"]),
    "--password --name": (["--password", "--name", "x"], ["--password", "--name", "x"]),
    "PASSWORD=": (["env", "DB_PASSWORD=abc", "python"], ["env", "DB_PASSWORD=…", "python"]),
    "in quotes": (["sh", "-c", "API_KEY=abc x"], ["sh", "-c", "API_KEY=… x"]),
    "by its form": (["x", TOKEN], ["x", "…"]),
    "an address": (["git", "clone", "https://me:pw@h/x"], ["git", "clone", "https://…@h/x"]),
    "no secret": (
        ["run", "hf/train", "--set", "tokens=5,new=4", "--author=jo", "--run-id", "20261201-x1"],
        ["run", "hf/train", "--set", "tokens=5,new=4", "--author=jo", "--run-id", "20261201-x1"],
    ),
}


@pytest.mark.parametrize(("words", "shown"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_line_keeps_no_secret(words, shown):
    assert without_secrets(words) == shown


SETTINGS = {
    "expandable_segments:True,max_split_size_mb:128": None,
    "granularity=fine,compact,1,0": None,
    "{0:4},{4:4}": None,
    "0,1,2": None,
    ":4096:8": None,
    "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,1": "…,1",
    "jane@host.example.org": "…",
    f"x={TOKEN}": "x=…",
    "abcdefgh12345678abcdefgh12345678": "…",
    "0" * 5000: "0" * 200 + "…",
}


@pytest.mark.parametrize(("value", "shown"), SETTINGS.items(), ids=range(len(SETTINGS)))
def test_a_setting_keeps_no_identity(value, shown):
    assert setting(value) == (value if shown is None else shown)


@pytest.mark.parametrize(("part", "shown"), [("xx", "x" * 200 + "…"), ("x1", "…")])
def test_the_time_for_a_value_grows_with_its_length(part, shown):
    def seconds(parts):
        return min(timeit.repeat(lambda: setting(part * parts), number=1, repeat=9))

    assert setting(part * 100_000) == shown
    # eight times as long: 8 times the time, and 64 if it grew with the square
    assert seconds(16_000) < 24 * seconds(2_000)
