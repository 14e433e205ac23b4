"""aiomqtt and Hamilton's AsyncDriver, as a user would write it. Nothing is kept.

aiomqtt acknowledges a message when it enters its queue, before this code has seen it.
"""

import asyncio
import json
import sys

import aiomqtt
import plan
from hamilton import async_driver


async def main(port: int) -> None:
    driver = await async_driver.Builder().with_modules(plan).build()
    async with aiomqtt.Client("127.0.0.1", port, identifier="peer") as client:
        await client.subscribe("in/#", qos=1)
        async for message in client.messages:
            data = json.loads(message.payload)
            values = await driver.execute(["result"], inputs={**data, "factor": 1.5})
            await client.publish("out/peer", json.dumps(values["result"]), qos=1)


asyncio.run(main(int(sys.argv[1])))
