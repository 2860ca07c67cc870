"""The status page in a browser: while data flows, while PostgreSQL is away, and after a rebalance.

With PGSLUICE_SCREENSHOTS=FOLDER, what it looks like is kept there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable, Iterator

import pytest
from browser import Browser, Page
from cluster import Record
from http_client import SERVED, Web
from mock import MockKafka
from postgres import Postgres
from sink import Sink

PARTITIONS = 24
ENV = {**SERVED, "SINK_LAG_INTERVAL_MS": 500, "SINK_BATCH_TIMEOUT_MS": 5}


def produce(kafka: MockKafka, per_partition: int) -> None:
    values = [json.dumps({"id": number}).encode() for number in range(per_partition)]
    kafka.produce("orders", [Record(value, partition=p) for p in range(PARTITIONS) for value in values])


def keep(page: Page, name: str) -> None:
    folder = os.environ.get("PGSLUICE_SCREENSHOTS")
    if folder:
        page.screenshot(Path(folder) / f"{name}.png")


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def sink(own_postgres: Postgres, mock: MockKafka, start_sink: Callable[..., Sink]) -> Sink:
    mock.create_topic("orders", PARTITIONS)
    own_postgres.query("CREATE TABLE orders (id int)")
    sink = start_sink(mock, postgres=own_postgres, topics="orders", group="orders-sink", env=ENV)
    Web(sink).wait_until_ready()
    return sink


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.value(f"document.documentElement.scrollWidth > {page.width}"))


@pytest.fixture
def screens(browser: Browser, sink: Sink) -> dict[str, Page]:
    """The page on a desktop and on a phone, where it is light and where it is dark."""
    url = f"http://127.0.0.1:{Web(sink).port}/"
    sizes = {"desktop": {}, "phone": {"width": 390, "height": 844}}
    return {
        f"{device}-{'dark' if dark else 'light'}": browser.open(url, dark=dark, **size)
        for device, size in sizes.items()
        for dark in (False, True)
    }


def wait_on_all(screens: dict[str, Page], expression: str, deadline_s: float = 30.0) -> None:
    for page in screens.values():
        page.wait_for(expression, deadline_s)


def keep_all(screens: dict[str, Page], name: str) -> None:
    for screen, page in screens.items():
        assert not is_wider_than_the_screen(page), (name, screen)
        keep(page, f"{name}-{screen}")


def says(element: str, text: str) -> str:
    return f"document.getElementById({json.dumps(element)}).innerText === {json.dumps(text)}"


def click_through(page: Page) -> None:
    """All partitions, and back to those that are furthest behind."""
    rows = "document.querySelectorAll('#partitions tr').length"
    assert page.value(rows) == 20
    page.click("#more")
    assert page.value(rows) == PARTITIONS
    assert not is_wider_than_the_screen(page)
    page.click("#more")
    assert page.value(rows) == 20


def test_the_page(
    screens: dict[str, Page],
    sink: Sink,
    mock: MockKafka,
    own_postgres: Postgres,
    start_sink: Callable[..., Sink],
) -> None:
    desktop = screens["desktop-light"]

    # Data flows.
    wait_on_all(screens, says("state", "RUNNING"))
    produce(mock, 100)
    wait_on_all(screens, says("rows", f"{100 * PARTITIONS:,} since the start"))
    wait_on_all(screens, says("lag", "0"))
    wait_on_all(screens, "document.getElementById('commit').innerText.endsWith(' s ago')")
    wait_on_all(screens, "document.querySelectorAll('#lag-line path').length === 2")
    for page in screens.values():
        assert page.text("#name") == "orders-sink"
        assert page.text("#partitions-title") == f"Partitions ({PARTITIONS})"
        assert page.text("#errors") == "none"
        click_through(page)
    colours = {name: page.value("getComputedStyle(document.body).backgroundColor") for name, page in screens.items()}
    assert colours["desktop-light"] == colours["phone-light"] != colours["desktop-dark"] == colours["phone-dark"]
    keep_all(screens, "flows")

    # PostgreSQL is away.
    own_postgres.stop()
    wait_on_all(screens, "document.getElementById('checks').innerText.includes('not ok postgres')")
    wait_on_all(screens, says("state", "RETRYING"))
    wait_on_all(screens, "document.getElementById('errors').innerText !== 'none'")
    produce(mock, 10)
    wait_on_all(screens, says("lag", f"{10 * PARTITIONS:,}"))
    for page in screens.values():
        click_through(page)
    keep_all(screens, "outage")
    own_postgres.start()
    wait_on_all(screens, says("lag", "0"), 60)

    # Another replica takes its share.
    start_sink(mock, postgres=own_postgres, topics="orders", group="orders-sink", env=ENV)
    wait_on_all(screens, says("partitions-title", f"Partitions ({PARTITIONS // 2})"), 60)
    for page in screens.values():
        assert page.value("document.getElementById('more').hidden")
        assert page.value("document.querySelectorAll('#partitions tr').length") == PARTITIONS // 2
    keep_all(screens, "rebalanced")

    # It asks nobody but us, and says when we are gone.
    url = f"http://127.0.0.1:{Web(sink).port}/"
    assert {address.split("?")[0] for address in desktop.requested()} <= {url, url + "status", "data:,"}
    assert desktop.faults() == []
    sink.kill()
    wait_on_all(screens, "!document.getElementById('gone').hidden")
    assert desktop.text("#gone").startswith("No answer.")
