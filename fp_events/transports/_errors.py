"""What went wrong with a connection, and how to mend it, in one sentence without secrets."""

from __future__ import annotations

import os
import socket
import ssl

from fp_events.domain.connection import ConnectOptions

from ._reasons import BAD_PASSWORD, BANNED, CLIENT_ID_INVALID, NOT_AUTHORIZED, UNSUPPORTED_PROTOCOL, reason_name

#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_WRONG_HOST = (62, 64)


_IS_IT_TLS = "does this port speak TLS? If not, mqtt.url begins with mqtt:// or ws://"
_IS_IT_MQTT = "is it an MQTT broker, and does this port want mqtts://, ws:// or wss:// in mqtt.url?"
_PASSWORD = "correct mqtt.username, mqtt.password or mqtt.password_file"  # noqa: S105 - a mend, not a password


class NoWebSocket(Exception):
    """The server does not speak WebSocket, or not at this path."""


def describe_failure(error: BaseException, options: ConnectOptions) -> str:
    """Why no connection was made."""
    where = options.address
    match error:
        case socket.gaierror():
            return f"{where}: the host name '{options.host}' cannot be resolved ({error.strerror}); correct mqtt.url"
        case ssl.SSLCertVerificationError() if error.verify_code in _WRONG_HOST:
            mend = "use a name in mqtt.url that it is for"
            return f"{where}: the broker's certificate is not for the host '{options.host}'; {mend}"
        case ssl.SSLCertVerificationError():
            mend = "name the authority that signed it in mqtt.tls.ca_file"
            return f"{where}: the broker's certificate is not trusted ({error.verify_message}); {mend}"
        case ssl.SSLError():
            reason = error.reason or error.strerror or "connection closed"
            return f"{where}: the TLS handshake failed ({reason}); {_IS_IT_TLS}"
        case ConnectionRefusedError():
            return f"{where}: nobody listens there (connection refused); start the broker, or correct mqtt.url"
        case ConnectionResetError() if options.tls is not None:
            return f"{where}: the connection was reset in the TLS handshake; {_IS_IT_TLS}"
        case TimeoutError() | ConnectionAbortedError():
            return f"{where}: no answer in time; is that the broker's address, and does a firewall let us through?"
        case NoWebSocket():
            return f"{where}: the server does not accept the WebSocket ({error}); correct the path in mqtt.url"
        case OSError():
            return f"{where}: {os.strerror(error.errno) if error.errno else error}"
    return f"{where}: {error}; {_IS_IT_MQTT}"


def describe_refusal(code: int, options: ConnectOptions) -> str:
    """Why the broker's CONNACK said no (MQTT 5, 3.2.2.2)."""
    where = options.address
    user = f"user '{options.username}'" if options.username else "a client without a user name"
    match code:
        case c if c == UNSUPPORTED_PROTOCOL:
            return f"{where}: the broker does not support MQTT {options.protocol}"
        case c if c == CLIENT_ID_INVALID:
            return f"{where}: the broker does not accept the client id '{options.client_id}'"
        case c if c == BAD_PASSWORD:
            return f"{where}: wrong user name or password for {user}; {_PASSWORD}"
        case c if c == NOT_AUTHORIZED:
            return f"{where}: {user} is not authorized to connect (password, or access rights); {_PASSWORD}"
        case c if c == BANNED:
            return f"{where}: the broker has banned this client"
    return f"{where}: the broker refused the connection ({reason_name(code)})"


#: Only a person can mend these: wait longer between attempts.
SLOW = frozenset({BAD_PASSWORD, NOT_AUTHORIZED, BANNED})
#: Trying again cannot help.
FATAL = frozenset({UNSUPPORTED_PROTOCOL, CLIENT_ID_INVALID})
