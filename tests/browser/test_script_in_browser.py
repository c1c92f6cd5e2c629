"""What the page's own small script adds: tables that can be sorted and filtered, by pointer and by
keyboard."""

import pytest

COLUMN = """
const cells = [...arguments[0].tBodies[0].rows].filter(r => r.checkVisibility())
    .map(r => r.cells[arguments[1]]);
return cells.map(c => c.innerText.trim());
"""
SORTABLE = "return [...document.querySelectorAll('table:has(thead th button)')]"
TABLE = f"{SORTABLE}.find(t => t.checkVisibility())"
TIMES = f"{SORTABLE}.find(t => /p50/.test(t.tHead.textContent))"


@pytest.fixture
def sortable(page):
    opened = page("one")
    table = opened.ask(TABLE)
    assert table is not None
    return opened, table


def header(opened, table, position: int = 0):
    return opened.ask("return arguments[0].tHead.rows[0].cells[arguments[1]]", table, position)


def test_a_header_sorts_its_column_and_says_so(sortable):
    opened, table = sortable
    assert header(opened, table).get_attribute("aria-sort") in (None, "none")
    before = opened.ask(COLUMN, table, 0)
    seen = []
    for _ in range(2):
        opened.ask("arguments[0].querySelector('button').click()", header(opened, table))
        seen.append(
            (header(opened, table).get_attribute("aria-sort"), opened.ask(COLUMN, table, 0))
        )
    assert {direction for direction, _ in seen} == {"ascending", "descending"}
    for _, column in seen:
        assert sorted(column) == sorted(before)
    assert seen[0][1] == seen[1][1][::-1] or len(set(before)) < len(before)
    others = opened.ask(
        "return arguments[0].querySelectorAll('th[aria-sort=ascending], th[aria-sort=descending]')",
        table,
    )
    assert len(others) == 1


def test_numbers_sort_by_value(page):
    """Steps of the reference run span microseconds to seconds; a dash is no number and comes
    last."""
    opened = page("one")
    table = opened.ask(TIMES)
    heads = [
        cell.text.lower()
        for cell in opened.ask("return [...arguments[0].tHead.rows[0].cells]", table)
    ]
    position = next(n for n, text in enumerate(heads) if "p50" in text)
    button = "arguments[0].querySelector('button').click()"
    opened.ask(button, header(opened, table, position))
    if header(opened, table, position).get_attribute("aria-sort") == "descending":
        opened.ask(button, header(opened, table, position))
    for falling in (False, True):
        times = [seconds(text) for text in opened.ask(COLUMN, table, position)]
        known = [time for time in times if time is not None]
        assert known == sorted(known, reverse=falling)
        assert len(known) > 2
        assert times[: len(known)] == known, "what is unknown comes last"
        opened.ask(button, header(opened, table, position))


def seconds(text: str) -> float | None:
    number, _, unit = text.partition("\n")[0].replace(",", "").partition(" ")
    scales = {"s": 1.0, "ms": 1e-3, "\N{MICRO SIGN}s": 1e-6, "ns": 1e-9}
    return float(number) * scales[unit] if unit in scales else None


def test_the_keyboard_sorts(sortable):
    from selenium.webdriver import Keys

    opened, table = sortable
    opened.ask("arguments[0].querySelector('button').focus()", header(opened, table))
    opened.press(Keys.ENTER)
    first = header(opened, table).get_attribute("aria-sort")
    opened.press(Keys.SPACE)
    assert {first, header(opened, table).get_attribute("aria-sort")} == {"ascending", "descending"}
    assert opened.ask("return arguments[0].contains(document.activeElement)", header(opened, table))


def test_a_filter_leaves_the_rows_that_match(page):
    from selenium.webdriver import Keys

    opened = page("many")
    opened.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    following = "f.compareDocumentPosition(t) & Node.DOCUMENT_POSITION_FOLLOWING"
    after = f"(f => [...document.querySelectorAll('table')].find(t => {following}))"
    fields = "[...document.querySelectorAll('input[type=search]')]"
    field = opened.ask(f"return {fields}.find(f => {after}(f).textContent.includes('n=7'))")
    assert field is not None
    assert opened.ask("return !!(arguments[0].labels.length || arguments[0].ariaLabel)", field)
    table = opened.ask(f"return {after}(arguments[0])", field)
    everything = opened.ask(COLUMN, table, 0)
    field.send_keys("n=7")
    left = opened.ask(COLUMN, table, 0)
    assert 0 < len(left) < len(everything)
    assert all("n=7" in row for row in left)
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("no such row")
    assert opened.ask(COLUMN, table, 0) == []
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.BACKSPACE)
    assert opened.ask(COLUMN, table, 0) == everything
    assert opened.complaints() == []


def test_small_tables_have_no_filter(page):
    short = "[...document.querySelectorAll('table')].filter(t => t.tBodies[0].rows.length < 4)"
    above = "(t.closest('.scroll, [role=region], [role=group]') || t).previousElementSibling"
    filtered = f"t => {above}?.matches('input[type=search], :has(> input)')"
    assert page("failures").ask(f"return {short}.filter({filtered}).length") == 0
