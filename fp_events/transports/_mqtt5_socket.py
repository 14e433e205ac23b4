"""The way to the broker: addresses, TCP, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from fp_events.domain.connection import ConnectOptions

from ._link import CONNECT_TIMEOUT

#: Seconds that the last packet may take to leave.
LAST_WORD = 2.0


async def connect(options: ConnectOptions, context: ssl.SSLContext | None, protocol: asyncio.BaseProtocol) -> None:
    """Give `protocol` a connection to the first address that answers; raises OSError or ValueError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_TIMEOUT):
        found = await loop.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
    for number, (family, kind, proto, _, address) in enumerate(found, start=1):
        sock = socket.socket(family, kind, proto)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.sock_connect(sock, address)
            await loop.create_connection(lambda: protocol, sock=sock, **_tls(options, context))
        except OSError as error:
            sock.close()
            if number == len(found) or isinstance(error, ssl.SSLError):
                raise
        except BaseException:
            sock.close()
            raise
        else:
            return


def _tls(options: ConnectOptions, context: ssl.SSLContext | None) -> dict[str, Any]:
    if context is None:
        return {}
    return {
        "ssl": context,
        "server_hostname": options.host,
        "ssl_handshake_timeout": CONNECT_TIMEOUT,
        "ssl_shutdown_timeout": LAST_WORD,
    }
