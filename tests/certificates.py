"""An authority of our own and certificates by it, made with the openssl program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import require_program


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    cert: Path
    key: Path


class Authority:
    """A certificate authority in `folder`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.own = Certificate(cert=folder / f"{name}.pem", key=folder / f"{name}.key")
        self._openssl("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={name}",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign", *self._out(self.own))  # fmt: skip

    def issue(self, name: str, *, subject_alternative: str) -> Certificate:
        """A certificate for `subject_alternative`, such as ``IP:127.0.0.1``."""
        certificate = Certificate(cert=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")
        extension = f"subjectAltName={subject_alternative}"
        authority = ("-CA", str(self.own.cert), "-CAkey", str(self.own.key))
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={name}", "-addext", extension, *authority,
            "-addext", "basicConstraints=critical,CA:FALSE", *self._out(certificate),
        )  # fmt: skip
        return certificate

    def _out(self, certificate: Certificate) -> tuple[str, ...]:
        return "-out", str(certificate.cert), "-keyout", str(certificate.key)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([require_program("openssl"), *arguments], check=True, capture_output=True)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
