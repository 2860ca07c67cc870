"""The Debian package in a bare Debian 12: installed, run by its systemd, installed again, taken out. In this order."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator

import checksum
import orders
import pytest
from debian import Debian
from kafka import Kafka
from load import Load
from postgres import Postgres
from process import free_port
from sink import QUICK, sink_program
from wait import wait_until

UNIT = "pgsluice@warehouse.service"
CREDENTIAL = """\
[Service]
LoadCredential=postgres:/etc/pgsluice/warehouse.password
Environment=PGPASSWORD_FILE=%d/postgres
"""
RECORDS, PARTITIONS = 50_000, 6
EXPOSURE = 2.0


@pytest.fixture(scope="module")
def package() -> Path:
    (found,) = (sink_program().parent / "packages").glob("*.deb")
    return found


@pytest.fixture(scope="module")
def debian(package: Path) -> Iterator[Debian]:
    if os.geteuid() != 0:
        pytest.fail("a Debian in a folder is made and booted by root only: sudo ./dev package")
    debian = Debian()
    try:
        debian.install(package)
        debian.boot()
        yield debian
    finally:
        debian.close()


def settings(kafka: Kafka, postgres: Postgres, http: int) -> str:
    """What /etc/pgsluice/warehouse.env has."""
    values = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_GROUP_ID": "warehouse",
        "SINK_TOPICS": "orders",
        "SINK_HTTP_ADDRESS": f"127.0.0.1:{http}",
        **QUICK,
        **postgres.env,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def test_it_is_installed(debian: Debian) -> None:
    assert debian.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "pgsluice") == "ii "
    assert debian.run("pgsluice", "--version").startswith("pgsluice ")
    assert debian.run("dpkg", "--verify", "pgsluice") == ""


def test_the_unit_is_right_and_closed(debian: Debian) -> None:
    assert debian.run("systemd-analyze", "verify", "--man=no", UNIT) == ""
    said = debian.run("systemd-analyze", "security", "--offline=true", "--no-pager", "pgsluice@.service")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level, said
    print(f"exposure {level[1]}")
    assert float(level[1]) < EXPOSURE


def test_systemd_runs_it(debian: Debian, kafka1: Kafka, postgres: Postgres) -> None:
    """With all that the unit takes from it, and a credential that only root and it may read. It is restarted when it
    dies, and drains when it is stopped."""
    http = free_port()
    (debian.root / "etc/pgsluice/warehouse.env").write_text(settings(kafka1, postgres, http))
    (debian.root / "etc/pgsluice/warehouse.password").write_text("secret")
    (debian.root / "etc/pgsluice/warehouse.password").chmod(0o600)
    overrides = debian.root / f"etc/systemd/system/{UNIT}.d"
    overrides.mkdir()
    (overrides / "override.conf").write_text(CREDENTIAL)
    debian.run("systemctl", "daemon-reload")
    orders.create_table(postgres, "orders")
    kafka1.create_topic("orders", PARTITIONS)
    kafka1.produce_orders("orders", RECORDS)
    debian.run("systemctl", "start", UNIT)
    try:
        wait_until(lambda: is_written(kafka1, postgres), 60, "the topic is written")
        assert "ready" in debian.run("pgsluice", "health", f"127.0.0.1:{http}")
        main_process = show(debian, "MainPID")
        assert debian.run("stat", "-c", "%U", f"/proc/{main_process}").strip() != "root"

        debian.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT)
        kafka1.produce_orders("orders", RECORDS, first=RECORDS)
        wait_until(lambda: is_written(kafka1, postgres), 60, "the rest is written")
        checksum.assert_orders_match(kafka1, "orders", postgres, "orders")
        debian.run("systemctl", "stop", UNIT)
        assert (show(debian, "Result"), show(debian, "ExecMainStatus")) == ("success", "0")
    finally:
        print(journal(debian))
    debian.run("systemctl", "start", UNIT)


def test_installed_again_it_goes_on_with_the_new_program(
    debian: Debian, package: Path, kafka1: Kafka, postgres: Postgres
) -> None:
    """Under load: another process, and nothing is lost or there twice."""
    former = show(debian, "MainPID")
    with Load(kafka1, "orders", rate=5_000, first=2 * RECORDS) as load:
        wait_until(lambda: rows(postgres) > 2 * RECORDS, 60, "rows of the load")
        debian.install_again(package)
        assert show(debian, "MainPID") not in ("0", former)
        before = rows(postgres)
        wait_until(lambda: rows(postgres) > before, 60, "rows of the new process")
        load.stop()
    wait_until(lambda: is_written(kafka1, postgres), 60, "the load is written")
    checksum.assert_orders_match(kafka1, "orders", postgres, "orders")
    assert show(debian, "NRestarts") == "0", "it was told to end, and did not die"
    wait_until(lambda: drains(debian) == 2, 20, lambda: f"the journal says so:\n{journal(debian)}")


def test_wrong_settings_are_not_tried_again(debian: Debian) -> None:
    (debian.root / "etc/pgsluice/wrong.env").write_text("SINK_TOPIC=orders\n")
    debian.run("systemctl", "start", "pgsluice@wrong.service", check=False)
    wait_until(lambda: show(debian, "ActiveState", "pgsluice@wrong.service") == "failed", 20, "it has failed")
    assert show(debian, "ExecMainStatus", "pgsluice@wrong.service") == "78"
    assert show(debian, "NRestarts", "pgsluice@wrong.service") == "0"


def test_it_is_taken_out_while_it_runs(debian: Debian) -> None:
    """But for what its administrator has made. It drains before its program goes."""
    assert show(debian, "ActiveState") == "active"
    main_process = show(debian, "MainPID")
    debian.run("apt-get", "-y", "purge", "pgsluice")
    debian.run("test", "!", "-e", f"/proc/{main_process}")
    wait_until(lambda: drains(debian) == 3, 20, lambda: f"the journal says so:\n{journal(debian)}")
    own = ("-path", "/etc/pgsluice", "-o", "-path", "/etc/systemd/system/pgsluice@*")
    assert (
        debian.run("find", "/usr", "/lib", "/etc", "(", *own, ")", "-prune", "-o", "-name", "*pgsluice*", "-print")
        == ""
    )


def show(debian: Debian, name: str, unit: str = UNIT) -> str:
    return debian.run("systemctl", "show", "--value", "-p", name, unit).strip()


def journal(debian: Debian) -> str:
    return debian.run("journalctl", "--no-pager", "-u", UNIT, check=False)


def drains(debian: Debian) -> int:
    """How often it has ended with 0 since it was told to."""
    return journal(debian).count(f"{UNIT}: Deactivated successfully.")


def rows(postgres: Postgres) -> int:
    return int(postgres.scalar("SELECT count(*) FROM orders"))


def is_written(kafka: Kafka, postgres: Postgres) -> bool:
    if postgres.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
        return False
    return checksum.is_caught_up(postgres, "warehouse", "orders", kafka.end_offsets("orders"))
