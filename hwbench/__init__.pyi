"""The types of the public names, which `__init__.py` imports when they are first used."""

from hwbench.api.comparison import Comparison as Comparison
from hwbench.api.comparison import compare as compare
from hwbench.api.measure import measure as measure
from hwbench.api.meter import meter as meter
from hwbench.api.record import record as record
from hwbench.api.runs import Run as Run
from hwbench.api.runs import Runs as Runs
from hwbench.api.runs import load as load
from hwbench.errors import Unsupported as Unsupported
from hwbench.errors import UserError as UserError
from hwbench.records import Work as Work
from hwbench.workload import Built as Built
from hwbench.workload import Mark as Mark
from hwbench.workload import axis as axis
from hwbench.workload import workload as workload

__version__: str
