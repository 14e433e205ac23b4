"""A password and a control key, given in every way, are in nothing that the program says, stores or publishes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.brokers import mosquitto, password_lines
from tests.certificates import Authority
from tests.endtoend.harness import Daemon, cli, serving, write_project
from tests.support import require_program

#: With characters that URLs, YAML, JSON and shells treat in their own ways.
PASSWORD = "Tr0ub4dor/&3@zebra%41"
KEY = "kn0w-th1s-&-command"
PIPELINE = {
    "conf/pipelines/p.yml": """\
triggers: [{topic: "in/{device}"}]
outputs: [{node: said}]
params: {api_token: "${API_TOKEN}"}
""",
    "pipelines/p.py": '''\
"""Fails on what is below zero, with a traceback."""


def said(payload: float, api_token: str) -> float:
    """Itself."""
    if payload < 0:
        raise ValueError(f"below zero; {api_token}")
    return payload
''',
}
TOKEN = "t0ken-0f-an-api"
WAYS = ("url", "file", "environment", "variable", "written out")


@dataclass
class Heard:
    """Everything that came out, by where it came out."""

    texts: dict[str, str | bytes] = field(default_factory=dict)

    def hits(self, *secrets: str) -> list[str]:
        """Where a secret stands, plain or as in a URL."""
        forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), secret.replace("/", "\\/"))}
        return [
            f"{place}: {form}"
            for place, text in self.texts.items()
            for form in forms
            if form.encode() in (text if isinstance(text, bytes) else text.encode())
        ]


def project(folder: Path, way: str, port: int, *, scheme: str = "mqtt", host: str = "127.0.0.1", tls: str = "") -> Path:
    """A project whose password comes in one way."""
    login = f"plant:{quote(PASSWORD, safe='')}@" if way == "url" else ""
    given = {
        "url": "",
        "file": ", username: plant, password_file: secret.txt",
        "environment": ", username: plant",
        "variable": ", username: plant, password: '${BROKER_PASSWORD}'",
        "written out": f", username: plant, password: '{PASSWORD}'",
    }[way]
    key = {"file": "hmac_key_file: key.txt", "variable": "hmac_key: '${CONTROL_KEY}'"}.get(way, f"hmac_key: '{KEY}'")
    text = f"""\
name: plant
mqtt: {{url: "{scheme}://{login}{host}:{port}"{given}{tls}}}
control: {{mqtt: true, allow: [p], {key}}}
log: {{level: DEBUG}}
"""
    files = {"conf/project.yml": text, "secret.txt": f"{PASSWORD}\n", "key.txt": f"{KEY}\n", **PIPELINE}
    return write_project(folder, files)


def environment(way: str) -> dict[str, str]:
    found = {"API_TOKEN": TOKEN}
    if way == "environment":
        found |= {"FP_EVENTS_MQTT__PASSWORD": PASSWORD, "FP_EVENTS_CONTROL__HMAC_KEY": KEY}
    return found | ({"BROKER_PASSWORD": PASSWORD, "CONTROL_KEY": KEY} if way == "variable" else {})


VERBS = (
    "config show", "config show --origins", "check --debug", "status --json", "doctor", "pipelines show p",
    "runs list", "dlq list --json", "config show --no-such-option",
)  # fmt: skip


#: Those that show what differs by the way a secret was given; each is a process, and takes its time.
FEW = ("config show --origins", "check --debug", "doctor")


async def called(folder: Path, environ: Mapping[str, str], heard: Heard, label: str, verbs: Sequence[str]) -> None:
    """Verbs that show something of the project."""
    for words in verbs:
        found = await cli(folder, *words.split(), environ=environ)
        heard.texts[f"{label}: {words}"] = found.out + found.err


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
async def test_a_working_daemon_tells_no_secret(way: str, tmp_path: Path) -> None:
    """Its log at DEBUG, its process, its topics, its ledger, its folder, every listing of the command line."""
    environ, heard = environment(way), Heard()
    async with mosquitto(password_lines(tmp_path, {"plant": PASSWORD, "other": "other"})) as broker:
        folder = project(tmp_path / "plant", way, broker.port)
        async with serving(folder, environ) as daemon:
            for payload in (b"1", b"-1", b"\xff"):
                await spoken("other", "other", broker.port, "in/x", payload)
            await spoken("other", "other", broker.port, "fp/plant/control/status", b'{"mac": "x"}')
            runs = await daemon.runs("p", 3)
            for run in runs:
                found = await cli(folder, "runs", "show", run["run_id"], environ=environ)
                heard.texts[f"runs show {run['outcome']}"] = found.out + found.err
            await called(folder, environ, heard, "beside a daemon", VERBS if way in ("url", "written out") else FEW)
            for name in ("cmdline", "comm", "status"):
                heard.texts[f"/proc/{name}"] = Path(f"/proc/{daemon.pid}/{name}").read_bytes()
            heard.texts["topics"] = await everything_retained(broker.port)
            assert await daemon.stop() == 0
            heard.texts["log"] = "\n".join(map(str, (*daemon.log, *daemon.text)))
        for path in (folder / ".fp-events").iterdir():
            heard.texts[f".fp-events/{path.name}"] = path.read_bytes() if path.is_file() else b""
        heard.texts["broker's log"] = "\n".join(broker.log)

    # The user's own function put the API's token into its error: what it says is stored, and shown to its author.
    assert heard.hits(PASSWORD, KEY) == []
    assert any("below zero" in text for text in heard.texts.values() if isinstance(text, str))
    shown = Heard({name: text for name, text in heard.texts.items() if "config show" in name})
    assert shown.hits(TOKEN) == []


async def spoken(user: str, password: str, port: int, topic: str, payload: bytes) -> None:
    """One message of a user."""
    login = ["-p", str(port), "-u", user, "-P", password, "-V", "5"]
    process = await asyncio.create_subprocess_exec(
        *(require_program("mosquitto_pub"), *login, "-q", "1", "-t", topic, "-s"), stdin=subprocess.PIPE
    )
    await process.communicate(payload)
    assert process.returncode == 0


async def everything_retained(port: int) -> str:
    """All retained topics and payloads."""
    command = [require_program("mosquitto_sub"), "-p", str(port), "-V", "5", "-u", "other", "-P", "other"]
    process = await asyncio.create_subprocess_exec(
        *command, "-t", "#", "-v", "-W", "2", "--retained-only", stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert b"availability online" in out
    return out.decode(errors="replace")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
async def test_a_refused_login_tells_no_secret(way: str, tmp_path: Path) -> None:
    """A wrong password, with tracebacks asked for."""
    environ, heard = environment(way), Heard()
    async with mosquitto(password_lines(tmp_path, {"plant": "another"})) as broker:
        folder = project(tmp_path / "plant", way, broker.port)
        daemon = Daemon(folder, environ, ("--debug",))
        await daemon.start(until="broker_unavailable")
        await called(folder, environ, heard, "wrong password", ("status --json", "doctor --debug"))
        await daemon.stop()
        ended = await cli(folder, "serve", "--fail-fast", "--debug", environ=environ)
    heard.texts["log"] = "\n".join(map(str, (*daemon.log, *daemon.text)))
    heard.texts["serve --fail-fast --debug"] = ended.out + ended.err

    assert ended.code != 0
    assert "not authori" in ended.err.lower()
    assert heard.hits(PASSWORD, KEY) == []


@pytest.mark.timeout(180)
async def test_a_wrong_certificate_tells_no_secret(tmp_path: Path) -> None:
    """An authority that we do not trust, an unknown host, a listener that speaks no TLS."""
    heard = Heard()
    authority = Authority(tmp_path)
    certificate = authority.issue("server", subject_alternative="IP:127.0.0.1")
    listener = f"listener {{port}} 127.0.0.1\ncertfile {certificate.cert}\nkeyfile {certificate.key}"
    stranger = Authority(tmp_path, "stranger").own.cert
    async with (
        mosquitto(password_lines(tmp_path, {"plant": PASSWORD}), listener=listener) as broker,
        mosquitto() as bare,
    ):
        for label, port, host in (
            ("untrusted", broker.port, "127.0.0.1"),
            ("no TLS", bare.port, "127.0.0.1"),
            ("no host", broker.port, "nobody.invalid"),
        ):
            for way in ("url", "environment"):
                folder = project(
                    tmp_path / f"{label}-{way}", way, port, scheme="mqtts", host=host,
                    tls=f", tls: {{ca_file: {stranger}}}",
                )  # fmt: skip
                environ = environment(way)
                ended = await cli(folder, "serve", "--fail-fast", "--debug", environ=environ)
                assert ended.code == 69, ended.err
                heard.texts[f"{label} {way}"] = ended.out + ended.err

    assert heard.hits(PASSWORD, KEY) == []
    assert len({text for name, text in heard.texts.items() if name.endswith("url")}) == 3


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
async def test_an_error_in_the_configuration_tells_no_secret(way: str, tmp_path: Path) -> None:
    """`check`, `serve` and `doctor` of a project with a mistake beside the secret."""
    heard = Heard()
    for number, mistake in enumerate(("base_topic: 'a/#'", "pasword: x")):
        folder = project(tmp_path / str(number), way, 1883)
        text = (folder / "conf/project.yml").read_text()
        (folder / "conf/project.yml").write_text(text.replace("mqtt: {", f"mqtt: {{{mistake}, ", 1))
        for verb in ("check", "serve"):
            ended = await cli(folder, verb, "--debug", environ=environment(way))
            assert ended.code in (1, 78), ended.err
            heard.texts[f"{verb} {mistake}"] = ended.out + ended.err

    assert heard.hits(PASSWORD, KEY) == []
