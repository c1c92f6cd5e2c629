"""The figures of the page, as matplotlib figures without any state of their own."""

from hwbench.report.page.figures.bars import Group, bars, ratios
from hwbench.report.page.figures.marks import MARKERS, WIDE, WIDTH
from hwbench.report.page.figures.roofline import Spot, roofline
from hwbench.report.page.figures.stacks import stacks

__all__ = ["MARKERS", "WIDE", "WIDTH", "Group", "Spot", "bars", "ratios", "roofline", "stacks"]
