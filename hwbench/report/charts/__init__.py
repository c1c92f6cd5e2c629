"""What the figures of a report show, as data: the page draws it as SVG, `hwbench report --figures`
with matplotlib."""
