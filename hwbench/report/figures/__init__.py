"""The figures of the page, as matplotlib figures without any state of their own."""

from hwbench.report.figures.bars import Group, bars, ratios
from hwbench.report.figures.marks import MARKERS, WIDE, WIDTH
from hwbench.report.figures.roofline import Spot, roofline
from hwbench.report.figures.stacks import stacks

__all__ = ["MARKERS", "WIDE", "WIDTH", "Group", "Spot", "bars", "ratios", "roofline", "stacks"]
