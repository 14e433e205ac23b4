"""Wrong hooks and resources."""

from __future__ import annotations

from .case import ALERTS_PY, ALERTS_YML, Case

Y = "conf/pipelines/alerts.yml"
H = "hooks/plant.py"
HOOKS = '''\
"""What the pipelines of this plant share."""


def unpack(payload, topic):
    return {"reading": payload["value"]}


def open_pool(dsn, size=4):
    return (dsn, size)
'''


def _case(wrong: str, settings: str, says: str, **files: str) -> Case:
    """`settings` go below the pipeline's right ones."""
    given = {
        Y: ALERTS_YML + settings,
        H: HOOKS,
        **{name.replace("__", "/") + ".py": text for name, text in files.items()},
    }
    return Case(wrong=wrong, files=given, says=says, code=78)


CASES = (
    _case(
        "a hook that is not in its module",
        "hooks:\n  message: hooks.plant:unpak\n",
        "error: conf/pipelines/alerts.yml:10: message hooks.plant:unpak: there is no function 'unpak' in module 'hooks.plant'; did you mean 'unpack'?",
    ),
    _case(
        "a message hook that asks for what it is not given",
        "hooks:\n  message: hooks.plant:unpack\n",
        "error: hooks/plant.py:4: message hooks.plant:unpack asks for 'device', and a message hook is given payload, topic, message, captures by name; change its parameters",
        hooks__plant=HOOKS.replace("payload, topic", "payload, device"),
    ),
    _case(
        "a resource whose function asks for more than `params` has",
        "resources:\n  pool: hooks.plant:open_pool\n",
        "error: hooks/plant.py:8: resource 'pool' hooks.plant:open_pool asks for 'dsn', which neither `params` nor `run.inputs` gives; give it there, or a default",
        pipelines__alerts=ALERTS_PY.replace("limit: float", "pool: tuple, limit: float"),
    ),
    _case(
        "a parameter that is not what a model says",
        "params: {limits: {low: cold}}\n",
        "error: conf/pipelines/alerts.yml:9: `params`: limits.low: Input should be a valid number, unable to parse string as a number; change the value, or the annotation",
        pipelines__alerts="from pydantic import BaseModel\n\n\nclass Limits(BaseModel):\n    low: float\n\n\n"
        + ALERTS_PY.replace("limit: float", "limits: Limits, limit: float"),
    ),
)
