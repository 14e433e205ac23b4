"""FastStream's MQTT broker, on zmqtt: a subscriber that publishes, the five nodes as plain calls. Nothing is kept."""

import asyncio
import sys

import plan
from faststream import FastStream
from faststream.mqtt import MQTTBroker
from zmqtt import QoS

broker = MQTTBroker(f"mqtt://127.0.0.1:{sys.argv[1]}", client_id="peer", logger=None)
app = FastStream(broker, logger=None)


@broker.publisher("out/peer", qos=QoS.AT_LEAST_ONCE)
@broker.subscriber("in/#", qos=QoS.AT_LEAST_ONCE)
async def handle(data: dict) -> dict:
    offset = plan.offset(plan.scaled(plan.celsius(data["reading"]), 1.5))
    return plan.result(data["i"], offset, plan.level(offset))


asyncio.run(app.run())
