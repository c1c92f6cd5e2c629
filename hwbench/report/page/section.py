"""What a section of the page is, and the runs that it is made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from hwbench.analysis.side_by_side import side_by_side
from hwbench.report.ratios import Intervals, ratio_intervals
from hwbench.report.view import RunView


@dataclass(frozen=True)
class PageRuns:
    """The runs of a page, the first of which is the base of every ratio.

    `floors` are the noise floors by case and metric, below which no change of a history counts.
    """

    views: Sequence[RunView]
    floors: Mapping[tuple[str, str], float] | None = None

    @property
    def several(self) -> bool:
        return len(self.views) > 1

    @cached_property
    def table(self) -> pd.DataFrame:
        """The runs side by side, as `side_by_side` returns them."""
        return side_by_side(
            [run.outcomes for run in self.views], [run.metrics for run in self.views]
        )

    @cached_property
    def intervals(self) -> Intervals:
        """The 95 % intervals of the ratios in `table`."""
        return ratio_intervals(self.views)


@dataclass(frozen=True)
class Section:
    """A part of the page with an anchor and a place in the navigation.

    `content` returns what the template calls `content`, or None where the section has nothing to
    show. `title_of_several` replaces `title` on a page of several runs.
    """

    anchor: str
    title: str
    template: str
    content: Callable[[PageRuns], Any]
    title_of_several: str = ""

    def title_on(self, page: PageRuns) -> str:
        """The title in the navigation of this page."""
        return (page.several and self.title_of_several) or self.title
