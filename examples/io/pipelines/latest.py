"""What the last run has told, from the retained message."""

from hamilton.function_modifiers import load_from, value


@load_from.mqtt(topic=value("tanks/fullest"), inject_="message")
def tank(message: dict) -> str:
    """Its name."""
    return message["tank"]
