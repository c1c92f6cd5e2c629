"""What is recorded of the machine where one part of it does not answer."""

from hwbench.machine import environment


def test_unknown_git_status_is_not_reported_as_clean(monkeypatch):
    answers = {"rev-parse": "abc", "status": None}
    monkeypatch.setattr(environment, "_run", lambda git, command, *words: answers[command])
    assert environment._git() == {"commit": "abc", "dirty": None}
    for changes, dirty in (("", False), (" M file", True)):
        answers["status"] = changes
        assert environment._git()["dirty"] is dirty
