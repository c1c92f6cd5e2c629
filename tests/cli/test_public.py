"""What users build on, frozen: commands, options, and what a workload file imports. A change here
is a promise broken or a promise made; the CHANGELOG says which."""

import importlib

import click
import pytest

from hwbench import cli, records

COMMANDS = {
    "run": "WORKLOADS --device --suite --set --dtype --processes --max-processes --precision "
    "--budget --strict --min-time --max-time --min-samples --timeout --seed --tdp --name --run-id "
    "--workloads --output --json",
    "list": "--workloads --json",
    "info": "--device --json",
    "compare": "BASELINE CANDIDATE --threshold --metric --allow-cross-device --output --json",
    "gate": "--baseline --candidate --threshold --metric --rules --allow-cross-device --strict "
    "--confirm --junit --markdown --self-test --pairs --workloads --output --json",
    "report": "RUNS -o --format --figures --figure-format --output",
    "profile": "WORKLOAD --trace --diff --name --run-id --device --set --dtype --min-time "
    "--max-time --min-samples --timeout --seed --tdp --workloads --output --json",
    "ab": "WORKLOADS --a --b --a-dir --b-dir --pairs --threshold --metric --strict --device "
    "--suite --set --dtype --min-time --max-time --min-samples --timeout --seed --tdp --workloads "
    "--output --json",
    "noise": "WORKLOADS --processes --device --suite --set --dtype --min-time --max-time "
    "--min-samples --timeout --seed --tdp --workloads --output --json",
    "meter": "WORDS --list --tdp --name --output --json",
    "import": "TOOL FILES --name --output --json",
    "summarize": "RUN --output --json",
    "completion": "SHELL",
}


def test_the_commands():
    assert set(cli.COMMANDS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_parameters_of_each_command(name):
    params = cli.cli.get_command(click.Context(cli.cli), name).params
    words = [
        param.opts[0] if param.opts[0].startswith("-") else param.name.upper() for param in params
    ]
    assert sorted(words) == sorted(COMMANDS[name].split())


def test_what_a_workload_file_imports():
    declarations = importlib.import_module("hwbench.workload")  # the attribute is the function
    assert {"workload", "axis", "Built", "Mark", "Work"} <= set(dir(declarations))
    assert {"Work", "Unsupported"} <= set(dir(records))
