"""The page at ``/``, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pc_provider.emulator import Emulator
from pc_provider.emulator.registration import CUSTOMER_ID, SUBSCRIPTION_ID
from tests.emulator.conftest import Client

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def test_the_page_needs_nothing_from_elsewhere(client: Client) -> None:
    answer = client.get("/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no browser to see the emulator's page in; on Debian: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,900"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--no-proxy-server")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield opened
    opened.quit()


def wait(browser: Any, condition: Any) -> Any:
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 20, poll_frequency=0.1).until(condition)


def texts(browser: Any, selector: str) -> list[str]:
    # Read in one step: the page may replace what it shows at any time.
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)", selector
    )
    return found


@pytest.mark.browser
def test_the_page_shows_live_what_happens(browser: Any, emulator: Emulator, client: Client, tmp_path: Path) -> None:
    browser.get(emulator.url + "/")
    wait(browser, lambda _: len(texts(browser, ".subscription")) == 4)
    assert texts(browser, "h3") == ["Contoso", "Fabrikam", "Wingtip Toys"]
    assert "None yet." in texts(browser, "#upgrades")[0]

    target = client.upgrade()["targetSubscriptionId"]
    client.control("faults", [{"kind": "status", "status": 503}])
    client.get(f"/v1/customers/{CUSTOMER_ID}")
    wait(browser, lambda _: len(texts(browser, ".request")) == 2)
    wait(browser, lambda _: len(texts(browser, ".upgrade")) == 1)
    [upgrade] = texts(browser, ".upgrade")
    assert "Office 365 Enterprise E1" in upgrade
    assert "Office 365 Enterprise E3" in upgrade
    assert SUBSCRIPTION_ID in upgrade
    assert target in upgrade
    source = next(text for text in texts(browser, ".subscription") if text.startswith("Office 365 Enterprise E1"))
    assert "→ Office 365 Enterprise E3" in source
    assert "suspended · Transition" in source
    newest, first = texts(browser, ".request")
    assert "503" in newest
    assert "200 upgraded" in first

    browser.find_element("id", "find").send_keys("wingtip")
    wait(browser, lambda _: texts(browser, "h3") == ["Wingtip Toys"])
    browser.save_screenshot(str(tmp_path / "page.png"))
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_the_page_shows_names_as_text(browser: Any, emulator: Emulator, client: Client) -> None:
    name = "<img src=x onerror=document.title='owned'>"
    client.add({"offerName": name}, companyName=name)
    browser.get(emulator.url + "/")
    wait(browser, lambda _: name in texts(browser, "h3"))
    assert browser.title == "Partner Center emulator"
    assert any(text.startswith(name) for text in texts(browser, ".subscription"))


@pytest.mark.browser
def test_the_page_says_when_the_emulator_is_gone(browser: Any) -> None:
    with Emulator() as emulator:
        browser.get(emulator.url + "/")
        wait(browser, lambda _: texts(browser, "#live") == ["live"])
    wait(browser, lambda _: texts(browser, "#live") == ["the emulator does not answer"])
