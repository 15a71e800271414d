"""The page in a real browser."""

import base64
import dataclasses
import json
import re
import shutil

import pytest
from synthetic_run import write_run

from fastlogit.benchmark.report import write_page
from fastlogit.benchmark.runs import load_run

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no Chromium with its chromedriver is installed"
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def fail_once(timing):
    if timing.impl != "jax" or not timing.cell_id.startswith("softmax/iris/sgd/b8/"):
        return timing
    return dataclasses.replace(timing, time_s=None, status="failed", error="it did not work")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    directory = write_run(
        tmp_path_factory.mktemp("runs"),
        models=("softmax", "mlp-logistic"),
        sets=("iris", "breast_cancer"),
        batch_sizes=(8, 32),
        change=fail_once,
        facts={"load_start": [2.0, 2.0, 2.0]},  # which is cautioned of
    )
    return write_page(load_run(str(directory))).as_uri()


@pytest.fixture
def page(driver, address):
    """Give the page as it opens: light, scripts on, 1280 pixels wide."""
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    show(driver, 1280, "light")
    driver.get(address)
    return driver


def show(driver, width, scheme):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_it_opens_without_network_and_without_a_complaint(driver, address):
    driver.get_log("performance")
    driver.get_log("browser")
    driver.get(address)
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


def column(page, name):
    """Give the values of a column as shown, and as sorted by."""
    return page.execute_script(
        """
        const table = document.querySelector("table.sortable");
        const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
        const at = heads.indexOf(arguments[0]);
        return [...table.tBodies[0].rows].map(
            (row) => [row.cells[at].textContent, row.cells[at].dataset.value ?? null]);
        """,
        name,
    )


def head(page, name):
    (found,) = page.find_elements("xpath", f"//table[@class='sortable']//th[.='{name}']")
    return found


def in_order(values, *, descending=False):
    """Give the values as they should stand: by number or by word, what is missing last."""
    there = [value for value in values if value != ""]
    return sorted(there, reverse=descending) + [""] * (len(values) - len(there))


def keys_of(shown):
    return ["" if text == "" else float(value) if value else text for text, value in shown]


@pytest.mark.parametrize("name", ["Time a row", "× numpy", "Batch", "Data set", "Contender"])
def test_a_click_sorts_and_another_turns_it_round(page, name):
    before = keys_of(column(page, name))
    assert before not in (in_order(before), in_order(before, descending=True))
    button = head(page, name).find_element("tag name", "button")
    for order in ("ascending", "descending", "ascending"):
        button.click()
        after = keys_of(column(page, name))
        assert after == in_order(before, descending=order == "descending")
        assert head(page, name).get_attribute("aria-sort") == order


@pytest.mark.parametrize("key", ["\ue007", " "], ids=["Enter", "space"])
def test_the_keyboard_sorts_too(page, key):
    # From the table's own scrolling box, Tab leads to the first column's name.
    page.execute_script("document.querySelector('.scroll.tall').focus()")
    page.switch_to.active_element.send_keys("\ue004")
    focused = page.switch_to.active_element
    assert focused.tag_name == "button"
    assert focused.text.startswith("Model")
    for order in ("ascending", "descending"):
        page.switch_to.active_element.send_keys(key)
        models = keys_of(column(page, "Model"))
        assert models == in_order(models, descending=order == "descending")
        assert head(page, "Model").get_attribute("aria-sort") == order


def test_only_one_column_says_that_it_is_sorted(page):
    for name in ("Batch", "GFLOP/s"):
        head(page, name).find_element("tag name", "button").click()
    assert len(page.find_elements("css selector", "[aria-sort]")) == 1
    rows = page.find_elements("css selector", "table.sortable tbody tr")
    assert len(rows) == 2 * 2 * 2 * 5


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_never_scrolls_sideways(page, width):
    show(page, width, "light")
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide <= page.execute_script("return window.innerWidth") == width


def test_text_in_figures_is_legible_on_a_phone(page):
    show(page, 360, "light")
    smallest = page.execute_script(
        """
        return Math.min(...[...document.querySelectorAll("svg[role=img]")].flatMap((svg) => {
            const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            return [...svg.querySelectorAll("text")].map(
                (text) => scale * parseFloat(getComputedStyle(text).fontSize));
        }));
        """
    )
    assert smallest >= 9


# Every element with text of its own: its colour, and the first opaque background behind it.
COLOURS = """
const opaque = (colour) => colour !== "rgba(0, 0, 0, 0)" && colour !== "transparent";
const found = [];
for (const element of document.body.querySelectorAll("*")) {
  if (element.closest("script, title, desc, style")) continue;
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  const text = element.ownerSVGElement ? style.fill : style.color;
  let behind = element;
  while (behind && !opaque(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
  found.push([element.tagName, text, behind && getComputedStyle(behind).backgroundColor]);
}
return found;
"""


def luminance(colour):
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast_in_both_schemes(page, scheme):
    show(page, 1280, scheme)
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(background) > 0.5) == (scheme == "light")
    colours = page.execute_script(COLOURS)
    assert {"text", "H1", "TD", "BUTTON"} <= {tag for tag, _, _ in colours}
    for tag, text, behind in colours:
        assert contrast(text, behind) >= 4.5, (tag, text, behind)


def test_every_figure_has_a_name_and_a_description(page):
    figures = page.find_elements("css selector", "svg:not([aria-hidden])")
    assert len(figures) >= 9
    for figure in figures:
        assert figure.get_attribute("role") == "img"
        assert len(figure.accessible_name) > 20
        assert figure.aria_role in ("img", "image")


def test_it_prints(page):
    show(page, 1280, "dark")
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    document = base64.b64decode(printed["data"])
    assert document.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", document))
    assert 3 <= pages <= 12
    # On paper it is light, and nothing is cut off by a box that scrolls.
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert luminance(background) == 1
    boxes = page.execute_script(
        "return [...document.querySelectorAll('.scroll')].map((b) => getComputedStyle(b).overflow)"
    )
    assert set(boxes) == {"visible"}
    show(page, 688, "light")  # A4 within its margins
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.execute_script("return document.documentElement.scrollWidth") <= 688
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_script_the_table_is_there(driver, address):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(address)
    assert driver.find_elements("css selector", "th button") == []
    assert len(driver.find_elements("css selector", "table.sortable tbody tr")) == 2 * 2 * 2 * 5
    note = driver.find_element("css selector", "#results ~ .note")
    assert "Press a column's name" not in note.text
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
