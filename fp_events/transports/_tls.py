"""The TLS context made from our options."""

from __future__ import annotations

import ssl

from fp_events.domain.connection import TlsOptions
from fp_events.domain.errors import ConfigError


def tls_context(tls: TlsOptions) -> ssl.SSLContext:
    """The context for `tls`, from the files as they are now. Reads files: not for the loop.

    Raises ConfigError where a file is missing or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the CA file cannot be used ({_words(error)})",
            where=str(tls.ca_file),
            mend="give a PEM file in `mqtt.tls.ca_file`",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    if tls.cert_file is not None:
        try:
            # Without a password callback OpenSSL would ask for an encrypted key's on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the client certificate or its key cannot be used ({_words(error)})",
                where=tls.cert_file,
                mend="give PEM files in `mqtt.tls.cert_file` and `key_file`, the key without a password",
            ) from error
    return context


def _words(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", "") or str(error)
