"""What transports over a network do: reasons for no connection, TLS, WebSocket, limits of brokers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from fp_events.domain.connection import TlsOptions
from fp_events.domain.errors import BrokerRefused, ConfigError
from fp_events.domain.message import Confirmation, Confirmed, Subscription
from tests.brokers import mosquitto, password_lines
from tests.certificates import Authority
from tests.support import free_port
from tests.transports.places import KINDS, Client, Kind, MosquittoPlace, client, message

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def failure(one: Client) -> str:
    """Why there is no connection."""
    return (await one.lost()).last_error


@pytest.fixture(params=["mqtt5-5", "aiomqtt-5"])
def five(request: pytest.FixtureRequest) -> Kind:
    """A transport that speaks MQTT 5."""
    return cast("Kind", request.param)


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[MosquittoPlace]:
    async with mosquitto() as broker:
        yield MosquittoPlace(broker, request.param)


# -- reasons for no connection


async def test_a_refused_connection_is_named(place: MosquittoPlace) -> None:
    """Nobody listens: the error says so, with the address."""
    port = free_port()
    async with client(place, "one", wait=False, port=port) as one:
        said = (
            f"mqtt://127.0.0.1:{port}: nobody listens there (connection refused); start the broker, or correct mqtt.url"
        )
        assert said == await failure(one)


async def test_an_unknown_host_is_named(place: MosquittoPlace) -> None:
    """A host name without an address: the error names the host."""
    async with client(place, "one", wait=False, host="no-such-host.invalid") as one:
        assert "the host name 'no-such-host.invalid' cannot be resolved" in await failure(one)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_password_is_named_and_not_shown(tmp_path: Path, kind: Kind) -> None:
    """The error names the user, never the password, and the right one connects."""
    async with mosquitto(password_lines(tmp_path, {"ann": "right-secret"})) as broker:
        place = MosquittoPlace(broker, kind)
        async with client(place, "one", wait=False, username="ann", password="wrong-secret") as one:
            error = await failure(one)
        async with client(place, "one", username="ann", password="right-secret") as two:
            assert two.transport.status().connected

    assert "'ann'" in error
    assert "password" in error
    assert "secret" not in error


async def test_a_server_that_hangs_up_is_named(place: MosquittoPlace) -> None:
    """A server that closes without a CONNACK is not waited for."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with scripted(hang_up) as port, client(place, "one", wait=False, port=port) as one:
        assert "closed the connection" in await failure(one)


async def test_an_unsupported_protocol_ends_run(place: MosquittoPlace) -> None:
    """A broker that does not speak our version of MQTT is not asked again."""
    answer = b"\x20\x03\x00\x84\x00" if place.mqtt5 else b"\x20\x02\x00\x01"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)

    async with scripted(refuse) as port, client(place, "one", wait=False, port=port) as one:
        with pytest.raises(BrokerRefused, match=f"does not support MQTT {place.protocol}"):
            await one.running


async def test_the_third_takeover_ends_it(five: Kind) -> None:
    """A broker that says "session taken over" three times in a row is left, with an error that names the id."""

    async def take_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
        await reader.read(1000)

    async with scripted(take_over) as port, mosquitto() as broker:
        place = MosquittoPlace(broker, five)
        async with client(place, "same", wait=False, port=port) as one:
            with pytest.raises(BrokerRefused, match="another client uses the client id 'same' and took the session 3"):
                await one.running


async def test_an_end_without_a_reason_is_suspected(place: MosquittoPlace) -> None:
    """A broker that closes and does not say why: after three times the error asks for another client."""
    answer = b"\x20\x03\x00\x00\x00" if place.mqtt5 else b"\x20\x02\x00\x00"

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with scripted(hang_up) as port, client(place, "same", wait=False, port=port) as one:
        while "does another client use the client id 'same'?" not in await failure(one):
            pass


async def test_two_clients_with_one_id_are_told(place: MosquittoPlace) -> None:
    """Mosquitto 2.1 tells MQTT 5 clients of a takeover, and one of two gives up; else another client is suspected."""
    async with client(place, "same") as one, client(place, "same", wait=False) as two:
        telling = {asyncio.create_task(of_another(each)) for each in (one, two)}
        told, silent = await asyncio.wait(telling, return_when=asyncio.FIRST_COMPLETED)
        for task in silent:
            task.cancel()
    for task in told:
        assert re.search("another client uses? the client id 'same'", task.result())


async def of_another(one: Client) -> str:
    """What a client says, or ends with, once it thinks that another one has its id."""
    while not one.running.done():
        news = asyncio.ensure_future(one.events.get())
        await asyncio.wait({news, one.running}, return_when=asyncio.FIRST_COMPLETED)
        said = (news.result().last_error or "") if news.done() else ""
        news.cancel()
        if "another client" in said:
            return said
    return str(one.running.exception())


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """The port of a server that does what no broker at hand does."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await script(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


# -- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def tls_lines(authority: Authority, name: str = "IP:127.0.0.1", *, clients: bool = False) -> list[str]:
    server = authority.issue("server", subject_alternative=name)
    lines = [f"certfile {server.cert}", f"keyfile {server.key}", f"cafile {authority.own.cert}"]
    return [*lines, "require_certificate true"] if clients else lines


async def test_tls_connects_to_a_trusted_broker(authority: Authority, five: Kind) -> None:
    """With the right authority everything works over TLS."""
    async with mosquitto(tls_lines(authority)) as broker:
        place = MosquittoPlace(broker, five)
        tls = TlsOptions(ca_file=str(authority.own.cert), minimum="1.3")
        async with client(place, "one", tls=tls, subscriptions=[Subscription(filter="a")]) as one:
            payload = bytes(3_000_000)
            assert ["sent", "sent"] == await one.publish(message("a", payload), message("a", b"small"))
            found = await one.take(2)

            assert [3_000_000, 5] == [len(delivery.message.payload) for delivery in found]
            assert f"mqtts://127.0.0.1:{broker.port}" == one.transport.status().address


async def test_a_client_certificate_is_shown(authority: Authority, five: Kind) -> None:
    """A broker that asks for a client certificate gets ours, and refuses us without."""
    mine = authority.issue("client", subject_alternative="DNS:client")
    async with mosquitto(tls_lines(authority, clients=True)) as broker:
        place = MosquittoPlace(broker, five)
        tls = TlsOptions(ca_file=str(authority.own.cert), cert_file=str(mine.cert), key_file=str(mine.key))
        async with client(place, "one", tls=tls) as one:
            assert one.transport.status().connected
        async with client(place, "two", wait=False, tls=TlsOptions(ca_file=str(authority.own.cert))) as two:
            assert (await failure(two)).startswith(f"mqtts://127.0.0.1:{broker.port}: ")


async def test_an_untrusted_certificate_is_named(authority: Authority, tmp_path: Path, five: Kind) -> None:
    """A broker whose certificate another authority signed is refused."""
    other = Authority(tmp_path, "other")
    async with mosquitto(tls_lines(authority)) as broker:
        tls = TlsOptions(ca_file=str(other.own.cert))
        async with client(MosquittoPlace(broker, five), "one", wait=False, tls=tls) as one:
            assert "the broker's certificate is not trusted" in await failure(one)
        assert not any("New client connected" in line for line in broker.log)


async def test_a_certificate_for_another_host_is_named(authority: Authority, five: Kind) -> None:
    """A trusted certificate that is not for the host we asked for is refused."""
    async with mosquitto(tls_lines(authority, "DNS:elsewhere.example")) as broker:
        tls = TlsOptions(ca_file=str(authority.own.cert))
        async with client(MosquittoPlace(broker, five), "one", wait=False, tls=tls) as one:
            assert "certificate is not for the host '127.0.0.1'" in await failure(one)


async def test_tls_never_falls_back_to_plaintext(authority: Authority, place: MosquittoPlace) -> None:
    """A broker without TLS is not spoken to in plaintext."""
    tls = TlsOptions(ca_file=str(authority.own.cert))
    async with client(place, "one", wait=False, tls=tls, username="ann", password="secret") as one:
        await one.lost()
    assert not any("New client connected" in line for line in place.broker.log)


@pytest.mark.parametrize(
    "tls", [TlsOptions(ca_file="missing.pem"), TlsOptions(cert_file="missing.pem")], ids=["authority", "own"]
)
async def test_a_missing_certificate_file_ends_run(place: MosquittoPlace, tls: TlsOptions) -> None:
    """A certificate file that is not there is an error of the configuration."""
    async with client(place, "one", wait=False, tls=tls) as one:
        with pytest.raises(ConfigError, match=r"missing\.pem: .*cannot be used"):
            await one.running


# -- WebSocket


@pytest.mark.parametrize("encrypted", [False, True])
async def test_websockets_carry_everything(authority: Authority, encrypted: bool) -> None:
    """Messages pass over ws:// and wss://, among them one longer than a short frame."""
    port = free_port()
    lines = [f"listener {port}", "protocol websockets", *(tls_lines(authority) if encrypted else [])]
    tls = TlsOptions(ca_file=str(authority.own.cert)) if encrypted else None
    async with mosquitto(lines) as broker:
        place = MosquittoPlace(broker, "aiomqtt-5")
        wanted = [Subscription(filter="a")]
        async with client(place, "one", transport="websockets", port=port, tls=tls, subscriptions=wanted) as one:
            burst = [message("a", bytes(size)) for size in (0, 125, 3000, *([10] * 50))]
            assert {"sent"} == set(await one.publish(*burst))

            found = await one.take(len(burst))

            assert [one.payload for one in burst] == [delivery.message.payload for delivery in found]
            assert f"{'wss' if encrypted else 'ws'}://127.0.0.1:{port}/mqtt" == one.transport.status().address


# -- limits


async def test_a_packet_above_the_brokers_maximum_is_refused(five: Kind) -> None:
    """A publication that the broker would disconnect for is REFUSED, and the connection stays."""
    async with mosquitto(["max_packet_size 10000"]) as broker, client(MosquittoPlace(broker, five), "one") as one:
        large, small = await one.transport.publish([message("a", bytes(10_000)), message("a")])

        assert "refused" == large.result.value
        assert large.reason.startswith("packet too large")
        assert "sent" == small.result.value
        assert 1 == one.transport.status().connections


async def test_a_payload_above_the_brokers_limit_is_refused(five: Kind) -> None:
    """A limit that the broker does not announce: its refusal is final, so that nothing is sent for ever."""
    async with mosquitto(["message_size_limit 1000"]) as broker, client(MosquittoPlace(broker, five), "one") as one:
        assert ["refused"] == await one.publish(message("a", bytes(2000)))


async def test_what_an_older_broker_hangs_up_for_is_refused() -> None:
    """MQTT 3.1.1 has no word for a limit: what has ended three connections is refused, the rest goes on."""
    async with mosquitto(["max_packet_size 100000"]) as broker:
        place = MosquittoPlace(broker, "aiomqtt-3.1.1")
        async with client(place, "one") as one:
            waiting = [message("a", bytes(90_000)), message("a", bytes(200_000)), message("a", b"small")]
            answers: dict[str, Confirmation] = {}
            while waiting:
                await one.connected()
                for answer in await one.transport.publish(waiting):
                    answers[answer.event_id] = answer
                waiting = [each for each in waiting if answers[each.event_id].result is Confirmed.UNKNOWN]
            fits, large, small = answers.values()

    assert ["sent", "refused", "sent"] == [fits.result.value, large.result.value, small.result.value]
    assert "packet too large, it seems: the broker closed the connection 3 times in a row" in large.reason
    assert "200000 bytes" in large.reason


async def test_what_the_broker_cannot_do_is_done_otherwise_and_noted(five: Kind) -> None:
    """QoS above the maximum goes at the maximum, a retained publication without the flag."""
    async with mosquitto(["max_qos 1", "retain_available false"]) as broker:
        place = MosquittoPlace(broker, five)
        async with client(place, "one", subscriptions=[Subscription(filter="a")]) as one:
            assert ["sent", "sent"] == await one.publish(message("a", qos=2, retain=True), message("a", qos=2))
            found = await one.take(2)

            assert [1, 1] == [delivery.message.qos for delivery in found]
            assert 2 == len(one.transport.status().notes)


async def test_a_full_inbox_stops_reading_and_loses_nothing(place: MosquittoPlace) -> None:
    """Above `max_buffered_bytes` the socket is left alone; the rest comes when there is room."""
    wanted = [Subscription(filter="a")]
    async with (
        client(place, "one", subscriptions=wanted, max_buffered_bytes=1_000_000, receive_maximum=65535) as one,
        client(place, "two") as two,
    ):
        await two.publish(*(message("a", bytes([number]) * 100_000) for number in range(100)))
        sizes: list[int] = []
        order: list[int] = []
        while len(order) < 100:
            burst = await one.transport.receive()
            one.transport.acknowledge(burst)
            sizes.append(sum(len(delivery.message.payload) for delivery in burst))
            order += [delivery.message.payload[0] for delivery in burst]

        assert list(range(100)) == order
        assert max(sizes) <= 1_100_000
