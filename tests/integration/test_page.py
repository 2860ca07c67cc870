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


def test_the_page(
    browser: Browser,
    sink: Sink,
    mock: MockKafka,
    own_postgres: Postgres,
    start_sink: Callable[..., Sink],
) -> None:
    url = f"http://127.0.0.1:{Web(sink).port}/"
    desktop = browser.open(url)
    phone = browser.open(url, width=390, height=844, dark=True)

    # Data flows.
    desktop.wait_for("document.getElementById('state').innerText === 'RUNNING'")
    produce(mock, 100)
    written = f"{100 * PARTITIONS:,} since the start"
    desktop.wait_for(f"document.getElementById('rows').innerText === {json.dumps(written)}")
    desktop.wait_for("document.getElementById('lag').innerText === '0'")
    desktop.wait_for("document.getElementById('commit').innerText.endsWith(' s ago')")
    assert desktop.text("#name") == "orders-sink"
    assert desktop.text("#partitions-title") == f"Partitions ({PARTITIONS})"
    assert desktop.text("#errors") == "none"
    rows = "document.querySelectorAll('#partitions tr').length"
    assert desktop.value(rows) == 20
    desktop.click("#more")
    assert desktop.value(rows) == PARTITIONS
    desktop.click("#more")
    assert desktop.value(rows) == 20
    desktop.wait_for("document.querySelectorAll('#lag-line path').length === 2")
    phone.wait_for("document.querySelectorAll('#lag-line path').length === 2")
    assert not is_wider_than_the_screen(desktop)
    assert not is_wider_than_the_screen(phone)
    colour = "getComputedStyle(document.body).backgroundColor"
    assert desktop.value(colour) != phone.value(colour)
    keep(desktop, "page-desktop-light")
    keep(phone, "page-phone-dark")

    # PostgreSQL is away.
    own_postgres.stop()
    desktop.wait_for("document.getElementById('checks').innerText.includes('not ok postgres')")
    desktop.wait_for("document.getElementById('state').innerText === 'RETRYING'")
    desktop.wait_for("document.getElementById('errors').innerText !== 'none'")
    produce(mock, 10)
    behind = f"{10 * PARTITIONS:,}"
    desktop.wait_for(f"document.getElementById('lag').innerText === {json.dumps(behind)}")
    phone.wait_for(f"document.getElementById('lag').innerText === {json.dumps(behind)}")
    keep(desktop, "page-desktop-outage")
    keep(phone, "page-phone-outage")
    own_postgres.start()
    desktop.wait_for("document.getElementById('lag').innerText === '0'", 60)

    # Another replica takes its share.
    start_sink(mock, postgres=own_postgres, topics="orders", group="orders-sink", env=ENV)
    half = f"Partitions ({PARTITIONS // 2})"
    desktop.wait_for(f"document.getElementById('partitions-title').innerText === {json.dumps(half)}", 60)
    assert desktop.value("document.getElementById('more').hidden")

    # It asks nobody but us, and says when we are gone.
    assert {address.split("?")[0] for address in desktop.requested()} <= {url, url + "status", "data:,"}
    assert desktop.faults() == []
    sink.kill()
    desktop.wait_for("!document.getElementById('gone').hidden")
    assert desktop.text("#gone").startswith("No answer.")
