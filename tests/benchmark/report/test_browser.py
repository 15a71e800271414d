"""The page in a real browser."""

import base64
import json
import re
import shutil

import pytest

from fastlogit.benchmark.report.page import write_page

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("vl_convert", reason="vl-convert is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no Chromium with its chromedriver"),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(stored, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    sets = ("iris", "digits", "classification-20000x64x10")
    write_page(stored(models=("softmax", "mlp-logistic"), datasets=sets, threads=(1, 2)), path)
    return path.as_uri()


@pytest.fixture
def page(driver, address):
    """Open the page as it opens for a reader: light, 1280 pixels wide."""
    show(driver, 1280, "light")
    driver.get(address)
    wait_for_charts(driver)
    return driver


def wait_for_charts(driver):
    driver.execute_script("return Promise.all(views.map((view) => view.runAsync())).then(() => 1)")


def show(driver, width, scheme):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def choose(page, selector, value):
    page.execute_script(
        """
        const select = document.getElementById(arguments[0]);
        select.value = arguments[1];
        select.dispatchEvent(new Event("change"));
        """,
        selector,
        value,
    )
    wait_for_charts(page)


def marks(page):
    """Return the cases that the charts of ratios show, as their marks say to a screen reader."""
    found = page.execute_script(
        "return [...document.querySelectorAll('[data-section^=same] [aria-roledescription=point]')]"
        ".filter((mark) => mark.checkVisibility()).map((mark) => mark.ariaLabel)"
    )
    return {label for text in found for label in re.findall(r"case: ([a-z]+)", text)}


def test_it_opens_without_a_request_and_without_a_complaint(driver, address):
    for log in ("performance", "browser"):
        driver.get_log(log)
    driver.get(address)
    wait_for_charts(driver)
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert address in asked  # the log does see requests
    # The page that a new browser opens by itself has addresses of the browser's own.
    own = (address, "data:", "chrome:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("section", ["same-estimator", "same-steps", "curves", "scaling"])
def test_hovering_over_a_mark_shows_its_figures(page, section):
    number = page.execute_script(
        "return [...document.querySelectorAll('figure')].findIndex("
        "(it) => it.dataset.section === arguments[0])",
        section,
    )
    mark = page.find_element("css selector", f"#chart-{number} [aria-roledescription=point]")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    tip = page.find_element("id", "tooltip")
    assert not tip.is_displayed()
    webdriver.ActionChains(page).move_to_element(mark).perform()
    assert tip.is_displayed()
    assert re.search(r"(faster|slower|loss|s\b)", tip.text)
    assert tip.rect["x"] + tip.rect["width"] <= 1280
    webdriver.ActionChains(page).move_to_element(page.find_element("tag name", "h3")).perform()
    assert not tip.is_displayed()


def test_a_selector_filters_charts_and_table(page):
    assert {"iris", "digits"} <= marks(page)
    rows = len(page.find_elements("css selector", "#all tbody tr"))
    choose(page, "dataset", "digits")
    assert marks(page) == {"digits"}
    shown = page.find_elements("css selector", "#all tbody tr:not([hidden])")
    assert 0 < len(shown) < rows
    assert {row.get_attribute("data-dataset") for row in shown} == {"digits"}
    assert "digits" in page.find_element("id", "case").get_attribute("value")
    choose(page, "dataset", "all")
    choose(page, "model", "MLPClassifier")
    shown = page.find_elements("css selector", "figure[data-model]:not([hidden])")
    assert {figure.get_attribute("data-model") for figure in shown} <= {"MLPClassifier", "all"}


def test_the_selectors_work_by_keyboard(page):
    select = page.find_element("id", "model")
    select.send_keys("ML")
    assert select.get_attribute("value") == "MLPClassifier"
    hidden = page.find_elements("css selector", "figure[data-model=LogisticRegression][hidden]")
    assert len(hidden) >= 1


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(driver, address, width):
    show(driver, width, "light")
    driver.get(address)
    wait_for_charts(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_no_text_of_a_chart_is_cut(driver, address, width):
    show(driver, width, "light")
    driver.get(address)
    wait_for_charts(driver)
    cut = driver.execute_script(
        """
        const texts = [...document.querySelectorAll("figure svg text")];
        return texts.filter((text) => text.getAttribute("opacity") !== "0").filter((text) => {
          const [own, all] = [text, text.ownerSVGElement].map((it) => it.getBoundingClientRect());
          return own.left < all.left - 1 || own.right > all.right + 1;
        }).map((text) => text.textContent);
        """
    )
    assert cut == []


def test_the_first_answers_are_on_the_first_screen(page):
    cards = page.find_elements("css selector", "#same-estimator .card")[:8]
    assert all(card.rect["y"] + card.rect["height"] <= 800 for card in cards)
    assert "faster" in cards[0].text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_theme(page, scheme):
    show(page, 1280, scheme)
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    text = page.execute_script(
        "return getComputedStyle(document.querySelector('figure svg text')).fill"
    )
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) > 382 for colour in (ground, text)]
    assert bright == ([True, False] if scheme == "light" else [False, True])


def test_every_chart_has_an_alternative_text(page):
    charts = page.find_elements("css selector", "figure [role=graphics-document]")
    assert len(charts) == page.execute_script("return data.specs.length")
    for chart in charts:
        assert len(chart.get_attribute("aria-label")) > 20


def test_it_prints_light_and_whole(page):
    show(page, 1280, "dark")
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF-")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    box = page.execute_script("return getComputedStyle(document.querySelector('.tall')).overflow")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert (ground, box) == ("rgb(255, 255, 255)", "visible")


def test_without_scripts_the_answers_and_the_table_are_there(driver, address):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(address)
    assert "faster" in driver.find_element("css selector", ".card b").text
    assert len(driver.find_elements("css selector", "#all tbody tr")) > 20
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
