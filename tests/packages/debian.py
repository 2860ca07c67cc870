"""A bare Debian 12 in a folder, with the network of this host, and its systemd in namespaces of its own (boot.sh). Wants root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from process import Child, TemporaryDirectory, tail
from wait import wait_until

CGROUPS = Path("/sys/fs/cgroup")
BOOT = Path(__file__).with_name("boot.sh")
KEPT = "var/tmp"  # what boot.sh mounts nothing over
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class Debian:
    """Made by mmdebstrap with the least there is, and systemd."""

    def __init__(self) -> None:
        self._temporary = TemporaryDirectory("debian")
        self.root = self._temporary.path / "root"
        self._log = self._temporary.path / "systemd.log"
        self._init: Child | None = None
        argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd", "bookworm", str(self.root)]
        subprocess.run(argv, check=True, timeout=600)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")

    def close(self) -> None:
        if self._init is not None:
            self._init.kill()
            wait_until(_forget_cgroups, 20, "its cgroups are empty")
        self._temporary.close()

    def install(self, package: Path) -> str:
        """As its administrator would, before it is booted; returns what apt has said."""
        shutil.copy(package, self.root / KEPT)
        self.chroot("apt-get", "-qq", "update")
        return self.chroot("apt-get", "-y", "--no-install-recommends", "install", f"/{KEPT}/{package.name}")

    def install_again(self, package: Path) -> str:
        """The same beside its systemd: what dpkg does of another version, too."""
        return self.run("apt-get", "-y", "install", "--reinstall", f"/{KEPT}/{package.name}")

    def chroot(self, *argv: str) -> str:
        """Without systemd."""
        return _output(["chroot", str(self.root), "/usr/bin/env", "-i", *_environment(), *argv])

    def boot(self) -> None:
        self._init = Child([str(BOOT), str(self.root)], self._log)
        wait_until(self._is_running, 60, lambda: f"systemd is up:\n{tail(self._log)}")

    def run(self, *argv: str, check: bool = True) -> str:
        """Beside its systemd."""
        inside = ["nsenter", "-t", str(self._process_1()), "-m", "-p", "-C", "-r", "-w", "/usr/bin/env", "-i"]
        return _output([*inside, *_environment(), *argv], check)

    def _process_1(self) -> int:
        """The child of unshare, which the script has become."""
        assert self._init is not None
        self._init.check_alive()
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def _is_running(self) -> bool:
        return self._process_1() > 0 and self.run("systemctl", "is-system-running", check=False).strip() in (
            "running",
            "degraded",
        )


def _forget_cgroups() -> bool:
    """Those that boot.sh has made, from the innermost on; a cgroup is removed when nobody is in it any more."""
    made = [base / "pgsluice-package" for base in (CGROUPS, CGROUPS / "systemd")]
    folders = [Path(path) for top in made for path, _, _ in os.walk(top, topdown=False)]
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not any(folder.exists() for folder in folders)


def _environment() -> list[str]:
    return [f"{name}={value}" for name, value in PATH.items()]


def _output(argv: list[str], check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
