"""flowerpower-mqtt: starts a FlowerPower pipeline for each message and publishes nothing, so runs are counted."""

import asyncio
import logging
import os
import sys
from pathlib import Path

os.environ["HAMILTON_TELEMETRY_ENABLED"] = "false"

from flowerpower_mqtt import MQTTPlugin


async def main(port: int) -> None:
    logging.disable(logging.WARNING)
    async with MQTTPlugin(broker="127.0.0.1", port=port, base_dir=str(Path.cwd())) as plugin:
        await plugin.subscribe("in/#", "bench", qos=1)
        await plugin.start_listener()


asyncio.run(main(int(sys.argv[1])))
