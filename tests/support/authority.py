"""Certificates for servers of tests, by an authority of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A CA of its own, and servers' certificates by it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.certificate = directory / f"{name}.crt"
        self._key = directory / f"{name}.key"
        self._openssl("req", "-x509", *self._new(self._key), "-subj", f"/CN={name}", "-out", self.certificate)

    def sign(self, host: str, days: int = 1) -> tuple[Path, Path]:
        """A certificate for this host, and its key."""
        base = self.directory / f"{self.certificate.stem}-{host}-{days}"
        key, request, certificate, names = (base.with_suffix(f".{end}") for end in ("key", "csr", "crt", "ext"))
        names.write_text(f"subjectAltName=DNS:{host}")
        self._openssl("req", *self._new(key), "-subj", f"/CN={host}", "-out", request)
        authority = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial")
        self._openssl(
            "x509", "-req", "-in", request, *authority, "-days", days, "-extfile", names, "-out", certificate
        )
        return certificate, key

    def _new(self, key: Path) -> tuple[object, ...]:
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key

    def _openssl(self, *words: object) -> None:
        command = ["openssl", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
