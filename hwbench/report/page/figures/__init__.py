"""The figures of the page, written as SVG by hand: a page may have a hundred, and matplotlib takes
about thirty times as long. Sizes are CSS pixels."""
