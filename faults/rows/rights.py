"""Rows 35 to 42: what a broker does not let a client do, who else is there, and what is wrong before the start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from faults.load import Load, Setup, load
from faults.oracle import read_ledger
from faults.row import Found, Run, Skipped, row
from faults.views import MIB, ends_of, peak_rss, pipeline_of
from tests.brokers import acl_lines, mosquitto, password_lines
from tests.certificates import Authority
from tests.endtoend.harness import Daemon, cli, publish, write_project
from tests.wrong_inputs.case import PROJECT, Case
from tests.wrong_inputs.cases import SECTIONS
from tests.wrong_inputs.running import answer

RATE = 100.0
SECRET = "correct-horse-battery-staple"
#: Seconds at the least between attempts after a refusal that only a person can mend.
PAUSE = 5.0
CASES: Sequence[Case] = [case for cases in SECTIONS.values() for case in cases]


@row("35", "a subscription is denied", "named where the broker says so, else 'no message' shows; detected in s")
async def denied_subscription(run: Run) -> Found:
    """Mosquitto 2.0 grants what its access list denies; its own plugin refuses."""
    rules = acl_lines(run.folder, ["topic readwrite fp/#", "topic readwrite done/#", "topic write load/#"])
    async with load(run.folder, Setup(broker=rules)) as on:
        await on.daemon.start()
        await publish(on.broker.port, "load/k0", ['{"i": 0}'])
        await asyncio.sleep(1.0)
        status = await on.daemon.ask("status")
        silent = all(trigger["last_message_at"] is None for trigger in pipeline_of(status, "count")["triggers"])
        said = await cli(run.folder, "status")
        told = said.out + said.err
        await on.daemon.stop()
    started = time.monotonic()
    refused = await _case(run, lambda case: case.event == "subscription_refused")
    figure = f"falsely granted: silence {'shown' if silent and 'no message' in told else 'NOT SHOWN'}"
    named = f"refused: named with reason and mend, {time.monotonic() - started:.1f} s from start to end"
    return Found(figure=f"{figure}; {named}", held=silent and "no message" in told and refused, n=2)


@row("36", "publishing is denied", "dead letters, not 'sent'; false sent 0")
async def denied_publication(run: Run) -> Found:
    """Everybody may write below load/, nobody below done/."""
    times = run.times(200, 10)
    rules = acl_lines(run.folder, ["topic readwrite fp/#", "topic readwrite load/#", "topic read done/#"])
    async with load(run.folder, Setup(broker=rules)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE, count=times)
        await on.published(all_of_it=True)
        started = time.monotonic()
        async with asyncio.timeout(10 * times):
            while (await on.daemon.ask("status"))["ledger"]["refused"] < times:
                await asyncio.sleep(0.1)
        took = time.monotonic() - started
        listed = json.loads((await cli(run.folder, "dlq", "list", "--limit", str(2 * times), "--json")).out)
        await on.daemon.stop()
        came = len(on.sink.messages)
        kept = read_ledger(on.ledger)
    rows = {row["event_id"] for row in listed["refused"]}
    false = times - len(rows)
    figure = f"{times} results: {len(rows)} listed as dead letters in {took:.0f} s, false sent {false}, arrived {came}"
    return Found(figure=figure, held=not false and not came and len(kept.pending) == times, n=times)


@row("37", "certificates: expired, wrong authority, wrong host", "three errors, never plaintext")
async def certificates(run: Run) -> Found:
    """The daemon's own sentence for each, and no byte of MQTT before the handshake is done."""
    keys = run.folder / "keys"
    keys.mkdir()
    authority = Authority(keys)
    good = authority.issue("good", subject_alternative="IP:127.0.0.1")
    elsewhere = authority.issue("elsewhere", subject_alternative="DNS:broker.example")
    expired = _expired(authority, keys)
    other = Authority(keys, "other").own.cert
    said: dict[str, str] = {}
    for name, certificate, key, trusted in (
        ("expired", expired, keys / "expired.key", authority.own.cert),
        ("wrong authority", good.cert, good.key, other),
        ("wrong host", elsewhere.cert, elsewhere.key, authority.own.cert),
    ):
        async with mosquitto([f"certfile {certificate}", f"keyfile {key}"]) as broker:
            folder = run.folder / name.replace(" ", "-")
            project = f'name: plant\nmqtt: {{url: "mqtts://127.0.0.1:{broker.port}", tls: {{ca_file: "{trusted}"}}}}\n'
            write_project(folder, {**PROJECT, "conf/project.yml": project})
            called = await cli(folder, "serve", "--fail-fast")
            said[name] = f"{called.code} {called.err.strip().splitlines()[-1].partition('error: ')[2]}"
            connected = any("New client connected" in line for line in broker.log)
            assert not connected, f"{name}: the daemon connected all the same"
    held = len({text.partition("(")[2] for text in said.values()}) == 3 and all(
        t.startswith("69 ") for t in said.values()
    )
    reasons = "; ".join(f"{name}: {text.partition('(')[2].partition(')')[0]}" for name, text in said.items())
    return Found(figure=reasons, held=held, n=3)


@row("38", "a wrong password", "slow backoff; the secret is in no output: hits 0")
async def wrong_password(run: Run) -> Found:
    """In the log, in `status`, in `config show`, in the ledger's folder."""
    seconds = 40.0 if not run.short else 4.0
    lines = password_lines(run.folder, {"plant": "another"})
    async with mosquitto(lines) as broker:
        project = f'name: plant\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}", username: plant}}\n'
        write_project(run.folder, {**PROJECT, "conf/project.yml": project})
        environ = {"FP_EVENTS_MQTT__PASSWORD": SECRET}
        daemon = Daemon(run.folder, environ, ("--log-level", "DEBUG"))
        started = time.monotonic()
        await daemon.start(until="broker_unavailable")
        await asyncio.sleep(seconds)
        status = await cli(run.folder, "status", "--json")
        await daemon.stop()
        took = time.monotonic() - started
        shown = await cli(run.folder, "config", "show", "--origins", environ=environ)
        attempts = sum("not authorised" in line or "Connection Refused" in line for line in broker.log)
    outputs = [json.dumps(daemon.log), *daemon.text, status.out, status.err, shown.out, shown.err]
    outputs += [
        path.read_bytes().decode("latin-1") for path in (run.folder / ".fp-events").rglob("*") if path.is_file()
    ]
    hits = sum(SECRET in text for text in outputs)
    figure = f"hits {hits} in {len(outputs)} outputs; {attempts} attempts in {took:.0f} s"
    return Found(figure=figure, held=not hits and attempts <= 1 + took / PAUSE)


@row("39", "a typo, a key twice, a module that is not there", "serve exits 78 before connecting; accepted 0")
async def wrong_configuration(run: Run) -> Found:
    """All wrong configurations and pipelines that docs/errors.md lists, or every twentieth in the short campaign."""
    chosen = [case for case in CASES if case.code == 78 and case.arguments[:1] == ("serve",)]
    chosen = chosen[:: 20 if run.short else 1]
    wrong, accepted = [], 0
    for number, case in enumerate(chosen):
        folder = run.folder / str(number)
        folder.mkdir()
        given = await answer(case, folder)
        accepted += given.accepted
        if (given.says, given.code) != (case.says, case.code):
            wrong.append(case.wrong)
    figure = f"{len(chosen) - len(wrong)} of {len(chosen)} refused with file and line; accepted {accepted}"
    return Found(figure=figure, held=not wrong and not accepted and bool(chosen), n=len(chosen), note=", ".join(wrong))


@row("40", "a folder that cannot be written", "the daemon exits before subscribing; code")
async def unwritable_folder(run: Run) -> Found:
    """A file system that is mounted read-only, which stops root too."""
    folder = run.folder / "project" / ".fp-events"
    async with mosquitto() as broker:
        project = f'name: plant\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n'
        write_project(run.folder / "project", {**PROJECT, "conf/project.yml": project})
        with _read_only(folder):
            called = await cli(run.folder / "project", "serve")
        connected = any("New client connected" in line for line in broker.log)
    sentence = called.err.strip().splitlines()[-1].replace(str(folder), ".fp-events")
    figure = f"code {called.code}, {'CONNECTED' if connected else 'never connected'}: {sentence}"
    return Found(figure=figure, held=called.code == 74 and not connected)


@row("41", "two daemons with one client id", "it ends after the third takeover, or asks where no reason is given")
async def same_client_id(run: Run) -> Found:
    """Mosquitto 2.0 gives no reason for a takeover: there the log asks the question."""
    async with mosquitto() as broker:
        daemons = []
        for number in range(2):
            project = f'name: plant\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}", client_id: same}}\n'
            folder = write_project(run.folder / str(number), {**PROJECT, "conf/project.yml": project})
            daemons.append(Daemon(folder))
        for daemon in daemons:
            await daemon.start()
        told: list[str] = []
        until = time.monotonic() + (12 if run.short else 60)
        while not told and time.monotonic() < until:
            await asyncio.sleep(0.2)
            for daemon in daemons:
                errors = [line.get("error", "") for line in daemon.log]
                told += [text for text in errors if "does another client use the client id" in text]
                told += [text for text in daemon.text if "another client uses the client id" in text]
        connections = sum("New client connected" in line for line in broker.log)
        for daemon in daemons:
            if daemon.running:
                await daemon.kill()
    sentence = told[0].replace(str(broker.port), "<port>") if told else "NOT TOLD"
    return Found(figure=f"after {connections - 2} takeovers: {sentence}", held=bool(told))


@row("42", "100,000 retained messages at the start", "bounded memory; peak memory, s")
async def many_retained(run: Run) -> Found:
    """Of a pipeline that takes retained messages."""
    count = run.times(100_000, 2_000)
    files = {
        "conf/pipelines/kept.yml": """\
triggers: [{topic: "kept/{line}", retained: process, map: {x: payload}}]
outputs: [{node: y, topic: "was/{line}"}]
""",
        "pipelines/kept.py": '"""Kept."""\n\n\ndef y(x: int) -> int:\n    """The same."""\n    return x\n',
    }
    async with load(run.folder, Setup(files=files)) as on:
        await asyncio.to_thread(_retain, on.broker.port, count)
        started = time.monotonic()
        await on.daemon.start()
        async with asyncio.timeout(600):
            await _all_ended(on, "kept", count)
        took, most = time.monotonic() - started, peak_rss(on.daemon.pid)
        found = ends_of(pipeline_of(await on.daemon.ask("status"), "kept"))
        await on.daemon.stop()
    figure = f"{found} in {took:.1f} s, peak {most / MIB:.0f} MiB"
    return Found(figure=figure, held=found == {"succeeded": count} and most < 768 * MIB, n=count)


async def _all_ended(on: Load, name: str, count: int) -> None:
    while sum(ends_of(pipeline_of(await on.daemon.ask("status"), name)).values()) < count:
        await asyncio.sleep(0.1)


def _retain(port: int, count: int) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(0)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for number in range(count):
        last = client.publish(f"kept/{number}", str(number), qos=1, retain=True)
        # The client holds no more than there are packet ids.
        if number % 10_000 == 9_999:
            last.wait_for_publish(300)
    last.wait_for_publish(300)
    client.disconnect()
    client.loop_stop()


async def _case(run: Run, wanted: Callable[[Case], bool]) -> bool:
    """The wrong inputs that are wanted get the answers that docs/errors.md says."""
    chosen: Sequence[Case] = [case for case in CASES if wanted(case)]
    good = bool(chosen)
    for number, case in enumerate(chosen):
        folder = run.folder / f"case-{number}"
        folder.mkdir()
        given = await answer(case, folder)
        good = good and (given.says, given.code) == (case.says, case.code)
    return good


def _expired(authority: Authority, folder: Path) -> Path:
    """A certificate whose time was over before it began."""
    key, request, made = folder / "expired.key", folder / "expired.csr", folder / "expired.pem"
    extensions = folder / "expired.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    signing = ("-CA", str(authority.own.cert), "-CAkey", str(authority.own.key), "-CAcreateserial", "-days", "-1")
    for command in (
        ("req", *new_key, "-subj", "/CN=expired", "-keyout", str(key), "-out", str(request)),
        ("x509", "-req", "-in", str(request), *signing, "-extfile", str(extensions), "-out", str(made)),
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return made


@contextlib.contextmanager
def _read_only(folder: Path):  # type: ignore[no-untyped-def] # a generator of nothing
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(folder)]
    if os.geteuid():
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise Skipped("root may write everywhere, and no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
