"""Brokers that are not there, or say no."""

from __future__ import annotations

from . import places
from .case import Case

P = "conf/project.yml"
HERE = ("serve", "--fail-fast", "--mqtt-url", "mqtt://127.0.0.1:<port>")
USER = "name: plant\nmqtt:\n  url: mqtt://127.0.0.1:${PORT}\n  username: plant\n  password: ${PASSWORD}\n"
RAY = 'name: plant\nrun:\n  executor: {type: ray, address: "127.0.0.1:${PORT}"}\n'
RQ = "name: plant\nrun:\n  executor: {type: rq, url: 'redis://:s3cret@127.0.0.1:${PORT}/0', queue: plant}\n"
TLS = "name: plant\nmqtt:\n  url: mqtts://127.0.0.1:${PORT}\n  tls: {ca_file: ca.pem}\n"

CASES = (
    Case(
        wrong="no broker where `mqtt.url` says, `serve --fail-fast`",
        arguments=HERE,
        around=places.nobody,
        says="error: mqtt://127.0.0.1:<port>: nobody listens there (connection refused); start the broker, or correct mqtt.url",
        code=69,
    ),
    Case(
        wrong="no broker where `mqtt.url` says: `serve` goes on trying",
        arguments=HERE[:1] + HERE[2:],
        around=places.nobody,
        event="broker_unavailable",
        says="mqtt://127.0.0.1:<port>: nobody listens there (connection refused); start the broker, or correct mqtt.url",
        code=0,
    ),
    Case(
        wrong="no broker where `mqtt.url` says, `publish`",
        arguments=("publish", "plant/a/temperature", "{}", *HERE[2:]),
        around=places.nobody,
        says="error: mqtt://127.0.0.1:<port>: nobody listens there (connection refused); start the broker, or correct mqtt.url",
        code=69,
    ),
    Case(
        wrong="no Redis where `run.executor.url` says",
        files={P: RQ},
        arguments=("worker", "rq"),
        environ={"PORT": "<port>"},
        around=places.nobody,
        says="error: run.executor.url: Redis at redis://127.0.0.1:<port>/0 cannot be used: <reason>; start it, or correct the URL",
        code=69,
        volatile={"reason": r"Error \d+ .*?refused"},
    ),
    Case(
        wrong="no Ray cluster where `run.executor.address` says",
        files={P: RAY},
        arguments=("run", "alerts", "-i", "reading=90", "-i", "line=a"),
        environ={"PORT": "<port>"},
        around=places.nobody,
        says="error: run.executor.address: the ray cluster at 127.0.0.1:<port> cannot be reached: ConnectionRefusedError: <reason>; start it, or correct the address",
        code=69,
        volatile={"reason": r"\[Errno \d+\] .*?refused"},
    ),
    Case(
        wrong="a worker where no pipeline runs on workers",
        arguments=("worker", "rq"),
        says="error: no pipeline of this project runs on RQ workers; say `run: {executor: rq}` in conf/project.yml",
        code=78,
    ),
    Case(
        wrong="a worker for a queue that no pipeline uses",
        files={P: RQ},
        arguments=("worker", "rq", "--queue-names", "plants"),
        environ={"PORT": "6379"},
        says="error: no pipeline uses the queue 'plants'; known here: plant",
        code=64,
    ),
    Case(
        wrong="a host name that does not resolve",
        arguments=(*HERE[:3], "mqtt://no-such-broker.invalid"),
        says="error: mqtt://no-such-broker.invalid:1883: the host name 'no-such-broker.invalid' cannot be resolved <reason>; correct mqtt.url",
        code=69,
        volatile={"reason": r"\(.*\)"},
    ),
    Case(
        wrong="a server that is no MQTT broker",
        arguments=HERE,
        around=places.dumb_server,
        says="error: mqtt://127.0.0.1:<port>: what answers there does not speak MQTT 5; is it an MQTT broker, and does this port want mqtts://, ws:// or wss:// in mqtt.url?",
        code=69,
    ),
    Case(
        wrong="a wrong password",
        files={P: USER},
        arguments=("serve", "--fail-fast"),
        environ={"PORT": "<port>", "PASSWORD": "wrong"},
        around=places.broker_with_password,
        says="error: mqtt://127.0.0.1:<port>: user 'plant' is not authorized to connect (password, or access rights); correct mqtt.username, mqtt.password or mqtt.password_file",
        code=69,
    ),
    Case(
        wrong="a wrong password: `serve` goes on trying",
        files={P: USER},
        arguments=("serve",),
        environ={"PORT": "<port>", "PASSWORD": "wrong"},
        around=places.broker_with_password,
        event="broker_unavailable",
        says="mqtt://127.0.0.1:<port>: user 'plant' is not authorized to connect (password, or access rights); correct mqtt.username, mqtt.password or mqtt.password_file",
        code=0,
    ),
    Case(
        wrong="no user name where the broker wants one",
        arguments=HERE,
        around=places.broker_with_password,
        says="error: mqtt://127.0.0.1:<port>: a client without a user name is not authorized to connect (password, or access rights); correct mqtt.username, mqtt.password or mqtt.password_file",
        code=69,
    ),
    Case(
        wrong="an authority that has not signed the broker's certificate",
        files={P: TLS},
        arguments=("serve", "--fail-fast"),
        environ={"PORT": "<port>"},
        around=places.broker_of_another_authority,
        says="error: mqtts://127.0.0.1:<port>: the broker's certificate is not trusted (unable to get local issuer certificate); name the authority that signed it in mqtt.tls.ca_file",
        code=69,
    ),
    Case(
        wrong="`mqtt://` to a port that speaks TLS",
        arguments=HERE,
        around=places.broker_of_another_authority,
        says="error: mqtt://127.0.0.1:<port>: the broker closed the connection without an answer; is it an MQTT broker, and does this port want mqtts://, ws:// or wss:// in mqtt.url?",
        code=69,
    ),
    Case(
        wrong="`mqtts://` to a port that does not",
        volatile={"reason": r"the connection was reset in the TLS handshake|the TLS handshake failed \(.*?\)"},
        files={P: TLS.replace("  tls: {ca_file: ca.pem}\n", "")},
        arguments=("serve", "--fail-fast"),
        environ={"PORT": "<port>"},
        around=places.broker,
        says="error: mqtts://127.0.0.1:<port>: <reason>; does this port speak TLS? If not, mqtt.url begins with mqtt:// or ws://",
        code=69,
    ),
    Case(
        wrong="a subscription that the user has no right to: `serve` goes on with the others",
        arguments=HERE,
        around=places.broker_without_subscriptions,
        event="subscription_refused",
        says="mqtt://127.0.0.1:<port>: the broker refuses the subscription to plant/+/temperature (not authorized); give this user the right to it, or correct the trigger's topic; no message of it will come until then",
        code=0,
    ),
    Case(
        wrong="`publish` to a topic that the user may not write to",
        arguments=("publish", "alerts/a", "{}", *HERE[2:]),
        around=places.broker_with_rights,
        says="error: alerts/a: the broker refused it: not authorized; may this user publish there?",
        code=69,
    ),
)
