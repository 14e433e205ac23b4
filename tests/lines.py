"""Publishes each line of standard input as it comes, and ends when the broker has confirmed all of them.

    python -m tests.lines --port 1883 --topic plant/a --qos 2 --protocol 3.1.1 < FILE

As `mosquitto_pub -l` does; but that of Mosquitto 2.1.2 at times ends before its last lines are sent, with exit code 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

#: Lines handed to paho at a time, which numbers no more than 65,535.
AHEAD = 10_000
#: Seconds that a confirmation may take.
PATIENCE = 60


def main() -> int:
    """The command line; 1 where nobody listens, or the last line stays without an answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--qos", type=int, default=1)
    parser.add_argument("--protocol", choices=["5", "3.1.1"], default="5")
    parser.add_argument("--retain", action="store_true")
    given = parser.parse_args()
    protocol = MQTTProtocolVersion.MQTTv5 if given.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
    try:
        client.connect("127.0.0.1", given.port)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    client.loop_start()
    deadline = time.monotonic() + PATIENCE
    while not client.is_connected() and time.monotonic() < deadline:
        time.sleep(0.005)
    ahead: deque[paho.MQTTMessageInfo] = deque()
    for line in sys.stdin.buffer:
        ahead.append(client.publish(given.topic, line.rstrip(b"\n"), qos=given.qos, retain=given.retain))
        if len(ahead) > AHEAD:
            ahead.popleft().wait_for_publish(PATIENCE)
    for one in ahead:
        one.wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()
    return 0 if all(one.is_published() for one in ahead) else 1


if __name__ == "__main__":
    sys.exit(main())
