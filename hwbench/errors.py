"""The exceptions that hwbench raises for a user to read."""


class UserError(ValueError):
    """An error that the user can cure. Its text is one line: what is wrong and what to do. The
    command exits with 2."""


class Unsupported(Exception):
    """A device or a workload cannot run a case here. The case becomes a row with this reason."""
