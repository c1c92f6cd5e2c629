"""What the page promises, asked of a real browser."""

from collections import Counter

import pytest

from browser.pages import KINDS, SOME

FOCUSABLE = """
const focusable = 'a[href], button, input, select, summary, [tabindex="0"]';
return [...document.querySelectorAll(focusable)].filter(
  e => !e.disabled && e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})
    && !(e.closest('details:not([open])') && !e.closest('summary'))
).map(e => [...document.querySelectorAll('*')].indexOf(e));
"""
TEXT = "return document.body.innerText"
ALL_TEXT = """
const body = document.body.cloneNode(true);
body.querySelectorAll('script, style, label, input, output').forEach(e => e.remove());
return body.textContent.replace(/\\s+/g, ' ').trim();
"""
FIGURES = """
return [...document.querySelectorAll('svg[role=img]')].map(svg => {
  const ids = (svg.getAttribute('aria-labelledby') || '').split(' ');
  const named = ids.map(id => document.getElementById(id)?.textContent);
  const figure = svg.closest('figure');
  const near = figure ? [figure] : [];
  let e = figure?.nextElementSibling;
  for (; e && !e.matches('figure, h2, h3'); e = e.nextElementSibling) near.push(e);
  const own = tag => svg.querySelector(':scope > ' + tag)?.textContent || '';
  return {title: svg.getAttribute('aria-label') || own('title') || named[0] || '',
      told: own('desc') || named[1] || '',
    caption: figure?.querySelector('figcaption')?.textContent.trim() || '',
    rows: near.reduce((n, e) => n + e.querySelectorAll('table tbody tr').length, 0),
    shown: svg.getBoundingClientRect().width > 0 && svg.getBoundingClientRect().height > 0};
});
"""
PAINTED = """
const clear = c => c === 'none' || c === 'transparent' || /, 0\\)$/.test(c);
const plain = c => clear(c) || /^rgb\\((0, 0, 0|255, 255, 255)\\)$/.test(c);
return [...document.querySelectorAll('svg[role=img]')].map(svg => {
  const marks = [...svg.querySelectorAll('path, rect, use, line, circle, polyline, polygon')]
    .filter(e => !e.closest('defs, clipPath, pattern, marker')).map(e => {
      const s = getComputedStyle(e), box = e.getBoundingClientRect();
      return {drawn: box.width + box.height > 1, fill: s.fill, stroke: s.stroke};
    }).filter(m => m.drawn);
  return {marks: marks.length,
      visible: marks.filter(m => !clear(m.fill) || !clear(m.stroke)).length,
    coloured: marks.filter(m => !plain(m.fill) || !plain(m.stroke)).length,
    colours: [...new Set(marks.flatMap(m => [m.fill, m.stroke]))]};
});
"""
SIDEWAYS = """
const named = e => e.getAttribute('aria-label') || e.getAttribute('aria-labelledby');
const wide = [...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1
  && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX));
return {document: document.documentElement.scrollWidth, window: innerWidth,
  unreachable: wide.filter(e => e.tabIndex < 0 || !named(e))
    .map(e => e.outerHTML.slice(0, 120)),
  loose: [...document.querySelectorAll('table')].filter(t => {
    const r = t.getBoundingClientRect();
    return t.checkVisibility() && r.width > innerWidth && !wide.some(e => e.contains(t));
  }).map(t => t.caption?.textContent)};
"""


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_makes_no_request_and_logs_no_error(page, kind):
    opened = page(kind)
    assert opened.requests() == []
    assert opened.complaints() == []
    assert opened.ask("return document.readyState") == "complete"
    assert opened.ask("return document.querySelectorAll('#pwn, b').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", SOME)
def test_axe_finds_nothing_serious(page, axe, kind, scheme):
    opened = page(kind, scheme=scheme)
    opened.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert opened.violations(axe) == []


@pytest.mark.parametrize("how", [{"scripts": False}, {"width": 360}], ids=["no scripts", "narrow"])
def test_axe_finds_nothing_serious_without_scripts_or_room(page, axe, how):
    assert page("two", **how).violations(axe) == []


@pytest.mark.parametrize("kind", SOME)
def test_light_is_light_and_dark_is_dark(page, kind):
    lightness = (
        "return getComputedStyle(document.body).backgroundColor"
        ".match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert min(page(kind, scheme="light").ask(lightness)) > 200
    assert max(page(kind, scheme="dark").ask(lightness)) < 60


@pytest.mark.parametrize("kind", SOME)
def test_without_scripts_all_text_and_figures_are_shown(page, kind):
    for _ in range(3):  # seldom, on a busy machine, a word was counted once more with scripts
        with_scripts = page(kind)
        words, figures = with_scripts.ask(ALL_TEXT), with_scripts.ask(FIGURES)
        without = page(kind, scripts=False)
        own = without.ask(ALL_TEXT)
        missing = Counter(words.split()) - Counter(own.split())
        if not missing:
            break
    assert not missing, Counter(own.split()) - Counter(words.split())
    assert without.ask("return document.querySelectorAll('button, input').length") == 0
    assert without.ask(FIGURES) == figures
    assert figures or kind == "odd"


@pytest.mark.parametrize("kind", ["one", "two", "drifting"])
def test_under_a_servers_strict_policy_text_and_figures_are_visible(page, strict, kind):
    opened = page(kind, server=strict)
    assert "hwbench" in opened.ask(TEXT)
    assert opened.ask("return [...document.querySelectorAll('h2')].every(e => e.checkVisibility())")
    painted = opened.ask(PAINTED)
    assert painted
    for figure in painted:
        assert figure["visible"] > 0, figure
        assert len(figure["colours"]) > 1, figure


@pytest.mark.parametrize("kind", ["one", "two", "drifting"])
def test_the_figures_have_colours(page, kind):
    assert all(figure["coloured"] for figure in page(kind).ask(PAINTED))


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_scrolls_sideways_only_inside_tables(page, kind):
    found = page(kind, width=360).ask(SIDEWAYS)
    assert found["document"] <= found["window"] == 360
    assert found["unreachable"] == []
    assert found["loose"] == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_keyboard_reaches_every_control_visibly(page, scripts):
    opened = page("two", scripts=scripts)
    due = opened.ask(FOCUSABLE)
    first = opened.tab()
    assert (first["tag"], first["href"][:1]) == ("a", "#")
    assert "skip" in first["text"].lower()
    assert first["seen"]
    reached = [first]
    while len(reached) < len(due) and (focused := opened.tab())["tag"] != "body":
        reached.append(focused)
    assert set(due) <= {focused["key"] for focused in reached}
    assert [f for f in reached if not (f["outline"] or f["shadow"])] == []
    assert [f for f in reached if not f["seen"]] == []


def test_the_skip_link_leads_past_the_head(page):
    from selenium.webdriver import Keys

    opened = page("one")
    opened.tab()
    opened.press(Keys.ENTER)
    assert opened.ask("return document.querySelector(':target')?.matches('main, main *')")
    after = opened.tab()
    assert opened.ask("return document.querySelector('main').contains(document.activeElement)"), (
        after
    )


HIDDEN_IN_PRINT = """
const blocks = 'h1, h2, h3, p, li, dt, dd, td, th, caption, figcaption, pre, figure svg';
return [...document.querySelectorAll(blocks)]
  .filter(e => !e.closest('nav, script, template, figure details'))
  .filter(e => !e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true,
      opacityProperty: true}))
  .map(e => e.outerHTML.slice(0, 100));
"""


@pytest.mark.parametrize("kind", ["one", "two", "failures"])
def test_print_hides_only_what_a_figure_shows(page, kind):
    opened = page(kind, media="print", scheme="dark")
    assert opened.ask(HIDDEN_IN_PRINT) == []
    ink = opened.ask(
        "return getComputedStyle(document.body).color.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert max(ink) < 100, "dark ink also where the screen is dark"


@pytest.mark.parametrize("kind", [*SOME, "drifting"])
def test_every_figure_has_a_title_and_a_description(page, kind):
    for figure in page(kind).ask(FIGURES):
        assert figure["title"].strip()
        assert figure["told"].strip()
        assert figure["caption"]
        assert figure["shown"]


@pytest.mark.parametrize("kind", ["one", "two", "drifting"])
def test_every_figure_has_its_data_as_a_table(page, kind):
    assert [figure["title"] for figure in page(kind).ask(FIGURES) if not figure["rows"]] == []


@pytest.mark.parametrize("name", ["light", "dark", "narrow", "strict"])
def test_screenshots_are_written_on_request(page, strict, screenshots, name):
    if not screenshots:
        pytest.skip("no pictures asked for; HWBENCH_SCREENSHOTS names a folder for them")
    hows = {"dark": {"scheme": "dark"}, "narrow": {"width": 360}, "strict": {"server": strict}}
    for kind in ("one", "two", "three"):
        opened = page(kind, **hows.get(name, {}))
        opened.picture(screenshots / f"{kind}-{name}.png")
        opened.picture(screenshots / f"{kind}-{name}-whole.png", whole=True)
