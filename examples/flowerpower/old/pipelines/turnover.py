# FlowerPower pipeline turnover.py

from pathlib import Path

from flowerpower.cfg import Config
from hamilton.function_modifiers import parameterize

PARAMS = Config.load(Path(__file__).parents[1], pipeline_name="turnover").pipeline.h_params


def gross(mqtt_message: dict) -> float:
    """What customers paid."""
    return sum(mqtt_message["prices"])


@parameterize(**PARAMS.net)
def net(gross: float, vat: float) -> float:
    """What is left without the tax."""
    return round(gross / (1 + vat), 2)


def summary(gross: float, net: float) -> dict:
    """Both."""
    return {"gross": gross, "net": net}
