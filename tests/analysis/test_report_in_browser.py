"""The report in a real browser without a network: sorting, filters, paging, a run's curve, and not one request."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_store import FakeStore

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.report.page import Picture, build_page, write_report

selenium = pytest.importorskip("selenium", reason="needs selenium, which `make setup` installs")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium: tests/install-system-packages"),
]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = "<script>document.title='broken'</script>"


PICTURE = Picture(name="figure2", caption="A pixel", png=PIXEL, missing="")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 63 runs: more than one page of the long tables; only one run has a curve."""
    fake_store = FakeStore(tmp_path_factory.mktemp("report"))
    for seed in range(30):
        fake_store.add("cifar10", "scnn", "bl", 0.5 + seed / 100, seed=seed)
        fake_store.add("cifar10", "vgg16", "lw", 0.6 + seed / 100, seed=seed)
    fake_store.add("oxford_iiit", "scnn", "lw", 0.25, augmentation__name="none")
    fake_store.add("digits", "scnn", "fc", 0.333, dataset___label_=HOSTILE)
    folder = fake_store.add("digits", "scnn", "bl", 0.999).parent
    epochs = [{"total_step": step, "train_accuracy": 0.9, "validation_accuracy": 0.8} for step in range(1, 401)]
    (folder / "history.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    rounds = [{"steps": 200, "test_accuracy": accuracy} for accuracy in (0.7, 0.999)]
    (folder / "rounds.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rounds))
    return write_report(
        build_page(collect(fake_store.results_dir), draw=lambda collection: (PICTURE,)), fake_store.results_dir
    )


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    # No name is resolved and no address reached: the page must do without.
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1200,900", "--proxy-server=127.0.0.1:1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    os.environ["SE_OFFLINE"] = "true"  # selenium must not look for drivers elsewhere
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    try:
        driver.set_script_timeout(60)
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get(page.as_uri())
    return browser


def find(browser: Any, selector: str) -> list[Any]:
    found: list[Any] = browser.find_elements("css selector", selector)
    return found


def click(browser: Any, selector: str, text: str | None = None) -> None:
    """Click as a user does, at the middle of the element; the sticky filters must not lie over it."""
    element = next(one for one in find(browser, selector) if text is None or one.text.startswith(text))
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def column(browser: Any, table: str, heading: str) -> list[str]:
    """The texts of a column in the rows that are shown."""
    script = """
        const table = document.querySelector(arguments[0]);
        const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === arguments[1]);
        return [...table.tBodies[0].rows].filter((row) => row.offsetParent).map((row) => row.cells[place].textContent);
    """
    return list(browser.execute_script(script, table, heading))


def place(browser: Any, grid: str) -> str:
    return str(find(browser, f"#{grid}-grid .place")[0].text)


def choose(browser: Any, name: str, value: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(find(browser, f"select[name={name}]")[0]).select_by_visible_text(value)


def take_filters_back(browser: Any) -> None:
    """Click the button that does, until it has: on a busy machine a click may fall between two layouts of the page."""
    from selenium.webdriver.support.wait import WebDriverWait

    def is_taken_back(_: Any) -> bool:
        click(browser, "#filters button")
        return not any(one.get_attribute("value") for one in find(browser, "#filters select"))

    WebDriverWait(browser, 30).until(is_taken_back)


def test_a_heading_sorts_upwards_then_downwards(opened: Any) -> None:
    click(opened, "#runs-grid th button", "Test [%]")
    first = [float(text) for text in column(opened, "#runs-grid table", "Test [%]")]
    assert first == sorted(first)
    assert first[0] == 25.0
    click(opened, "#runs-grid th button", "Test [%]")
    then = [float(text) for text in column(opened, "#runs-grid table", "Test [%]")]
    assert then == sorted(then, reverse=True)
    assert then[0] == 99.9
    models = column(opened, "#table2 table", "Model")
    click(opened, "#table2 th button", "B")
    assert sorted(column(opened, "#table2 table", "Model")) == sorted(models)
    rows = list(zip(column(opened, "#table2 table", "Dataset"), column(opened, "#table2 table", "Model"), strict=True))
    # A published row stays under its own.
    assert all(rows[at - 1][0] == dataset for at, (dataset, model) in enumerate(rows) if model == "paper")


def test_filters_and_pages_hold_for_every_table(opened: Any) -> None:
    assert place(opened, "runs") == "1 to 50 of 63"
    click(opened, "#runs-grid .on")
    assert place(opened, "runs") == "51 to 63 of 63"
    assert not find(opened, "#runs-grid .on")[0].is_enabled()
    choose(opened, "model", "vgg16")
    assert set(column(opened, "#results-grid table", "Model")) == {"vgg16"}
    assert place(opened, "runs") == "1 to 30 of 30 (63 in all)"
    assert set(column(opened, "#table2 table", "Model")) == {"vgg16", "paper"}
    choose(opened, "condition", "no augmentation")
    assert place(opened, "runs") == "none fits the filters"
    assert column(opened, "#table2 table", "Dataset") == []
    take_filters_back(opened)
    find(opened, "input[name=words]")[0].send_keys("vgg16 lw")
    assert place(opened, "runs") == "1 to 30 of 30 (63 in all)"


def test_a_run_shows_its_curve_and_hides_it(opened: Any) -> None:
    find(opened, "input[name=words]")[0].send_keys("digits bl")
    assert find(opened, ".curve") == []
    click(opened, "#runs-grid .toggle")
    (curve,) = find(opened, ".curve")
    assert curve.get_attribute("aria-label") == "Training curve of digits scnn bl mild seed 0: accuracy by step"
    points = find(opened, ".curve polyline")[0].get_attribute("points").split()
    assert len(points) == 60
    assert len(find(opened, ".curve circle")) == 2
    click(opened, "#runs-grid .toggle")
    assert find(opened, ".curve") == []


def test_nothing_is_asked_of_a_network_and_nothing_goes_wrong(browser: Any, page: Path) -> None:
    for log in ("browser", "performance"):
        browser.get_log(log)  # what came before
    browser.get(page.as_uri())
    click(browser, "#results-grid th button")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if url != page.as_uri() and not url.startswith("data:")] == []
    assert browser.get_log("browser") == []
    assert HOSTILE in column(browser, "#results-grid table", "Dataset")
    assert browser.execute_script("return document.querySelector('figure img').naturalWidth") == 1
