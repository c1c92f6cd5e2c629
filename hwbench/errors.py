"""The two ways in which hwbench says no: to a user, and of a case."""


class UserError(ValueError):
    """Something the user can cure: one line that says what is wrong and what to do. The command
    exits with 2."""


class Unsupported(Exception):
    """Raised by a device or a workload that cannot run a case here; the case becomes a row with
    this reason."""
