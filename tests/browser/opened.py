"""A page opened in the browser, and the questions that tests ask of it."""

import json
from pathlib import Path
from typing import Any

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.remote.webdriver import WebDriver

FOCUSED = """
const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
return {tag: e.localName, text: e.textContent.trim().slice(0, 60), href: e.getAttribute('href'),
  outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0,
      shadow: s.boxShadow !== 'none',
  key: [...document.querySelectorAll('*')].indexOf(e),
  seen: r.width > 0 && r.height > 0 && r.right > 0 && r.left < innerWidth && r.bottom > 0
      && r.top < innerHeight};
"""

SERIOUS = """
const text = node => node.html.slice(0, 160) + ' | ' + node.failureSummary.slice(0, 300);
return axe.run({resultTypes: ['violations']}).then(result => result.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => [v.id, v.impact, v.nodes.length, v.nodes.slice(0, 3).map(text)]));
"""


class OpenedPage:
    """A page as it is shown: `scheme` "light" or "dark", `media` "screen" or "print", `size` in CSS
    pixels, with or without scripts. Opening it forgets what the logs held before."""

    def __init__(
        self,
        driver: WebDriver,
        address: str,
        size: tuple[int, int],
        scheme: str = "light",
        media: str = "screen",
        scripts: bool = True,
        width: int = 0,
    ) -> None:
        self.driver, self.address = driver, address
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.tell("Emulation.setEmulatedMedia", media=media, features=features)
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        metrics = {
            "width": width or size[0],
            "height": size[1],
            "deviceScaleFactor": 1,
            "mobile": False,
        }
        self.tell("Emulation.setDeviceMetricsOverride", **metrics)
        driver.get("about:blank")
        for log in ("performance", "browser"):
            driver.get_log(log)
        driver.get(address)

    @staticmethod
    def reset(driver: WebDriver) -> None:
        """Undo what was emulated."""
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def tell(self, command: str, **arguments: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def ask(self, script: str, *arguments: Any) -> Any:
        """The value that a function's body returns, also where the page's own scripts are off."""
        return self.driver.execute_script(script, *arguments)

    def requests(self) -> list[str]:
        """The addresses asked for since the page was opened, but for its own and for what lies
        within it."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        sent = [
            e["params"]["request"]["url"]
            for e in events
            if e["method"] == "Network.requestWillBeSent"
        ]
        return [
            url
            for url in sent
            if url.partition("#")[0] != self.address and not url.startswith("data:")
        ]

    def complaints(self) -> list[str]:
        """What the console was told: errors and broken policies."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def violations(self, axe: str) -> list[Any]:
        """What axe-core finds that is serious or worse. axe runs from outside: no policy of the
        page stops it. A page that was read with scripts off stays as it is when they are let run
        for axe's own sake."""
        self.tell("Emulation.setScriptExecutionDisabled", value=False)
        self.driver.execute_script(axe)
        found: list[Any] = self.driver.execute_script(SERIOUS)
        return found

    def press(self, *keys: str) -> None:
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def tab(self) -> dict[str, Any]:
        """What has the focus after one more Tab."""
        self.press(Keys.TAB)
        focused: dict[str, Any] = self.ask(FOCUSED)
        return focused

    def picture(self, file: Path, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        if whole:
            height = self.ask("return document.documentElement.scrollHeight")
            width = self.ask("return innerWidth")
            metrics = {
                "width": width,
                "height": min(height, 12000),
                "deviceScaleFactor": 1,
                "mobile": False,
            }
            self.tell("Emulation.setDeviceMetricsOverride", **metrics)
        self.driver.save_screenshot(str(file))
