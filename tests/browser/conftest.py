"""A real browser that opens pages of ours: Debian's chromium, headless, driven over WebDriver.

Run by `make test-browser`, which installs what is needed; skipped, with the reason, where any of it
is not there.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import pytest

from browser.pages import KINDS

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-proxy-server",
    "--lang=en-US",
]
JENKINS = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"
SIZE = (1280, 900)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is skipped for one reason, said once, where no page can be opened."""
    reason = why_not()
    for item in items:
        if reason and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def why_not() -> str:
    """What is missing for a browser to be driven, in one line; "" if nothing is."""
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    missing += [name for name in ("selenium", "axe_playwright_python") if not _is_installed(name)]
    return f"no {', no '.join(missing)} here; `make test-browser` installs them" if missing else ""


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> Iterator:
    """One browser for all tests, with an empty profile and a log of its network and its console."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        *FLAGS,
        f"--window-size={SIZE[0]},{SIZE[1]}",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    started = webdriver.Chrome(options=options, service=service)
    yield started
    started.quit()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def files() -> dict[str, Path]:
    """Pages already written, by their kind."""
    return {}


@pytest.fixture(scope="session")
def strict(tmp_path_factory) -> Iterator[str]:
    """The address of a server that hands out the pages as Jenkins does: no script, no style but
    that of other files."""
    folder = str(tmp_path_factory.getbasetemp())

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args) -> None:
            super().__init__(*args, directory=folder)

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", JENKINS)
            super().end_headers()

        def log_message(self, *args) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(driver, files, tmp_path_factory):
    """Opens a page of one of pages.KINDS afresh: page("two", scheme="dark", width=360,
    scripts=False)."""
    from browser.opened import OpenedPage

    def opened(kind: str, server: str = "", **how) -> OpenedPage:
        if kind not in files:
            files[kind] = tmp_path_factory.getbasetemp() / f"{kind}.html"
            files[kind].write_text(KINDS[kind](), encoding="utf-8")
        address = f"{server}/{files[kind].name}" if server else files[kind].as_uri()
        return OpenedPage(driver, address, **{"size": SIZE, **how})

    yield opened
    OpenedPage.reset(driver)


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """Where pictures go, for people to look at; None where nobody asked for any."""
    folder = os.environ.get("HWBENCH_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder) if folder else None
