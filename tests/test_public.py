"""What users build on, frozen: commands, options, and what a workload file imports. A change here is a promise broken
or a promise made; the CHANGELOG says which."""

from importlib import import_module

import pytest

from hwbench import cli, records, workload

COMMANDS = {
    "run": "WORKLOADS --device --suite --set --dtype --processes --min-time --max-time --min-samples --timeout --seed "
    "--name --run-id --workloads --output --json",
    "list": "--workloads --json",
    "info": "--device --json",
    "report": "RUNS -o --output",
    "summarize": "RUN --output --json",
    "completion": "SHELL",
}


def test_the_commands():
    assert set(cli.COMMANDS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_words_of_each_command(name):
    params = import_module(f"hwbench.cli.{name}").command.params
    words = [param.opts[0] if param.opts[0].startswith("-") else param.name.upper() for param in params]
    assert sorted(words) == sorted(COMMANDS[name].split())


def test_what_a_workload_file_imports():
    assert {"workload", "axis", "Built", "Mark", "Work"} <= set(dir(workload))
    assert {"Work", "Unsupported"} <= set(dir(records))
