"""Topics of the daemon's own, below one base topic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Where the daemon publishes and listens."""

    #: ``fp/<project>``.
    base: str
    client_id: str

    @property
    def availability(self) -> str:
        """Retained `online`, `draining` or `offline`; also the last will."""
        return f"{self.base}/instances/{self.client_id}/availability"

    @property
    def control(self) -> str:
        """Filter of the control topics."""
        return f"{self.base}/control/+"

    def control_command(self, topic: str) -> str | None:
        """The command that a control topic names; None for other topics."""
        prefix = f"{self.base}/control/"
        return topic[len(prefix) :] if topic.startswith(prefix) else None

    def reply(self, command: str) -> str:
        """Where a reply goes without a response topic."""
        return f"{self.base}/reply/{command}"

    def state(self, pipeline: str) -> str:
        """Retained JSON about a pipeline."""
        return f"{self.base}/pipelines/{pipeline}/state"

    def event(self, pipeline: str, event: str) -> str:
        """Status events."""
        return f"{self.base}/events/{pipeline}/{event}"

    def result(self, pipeline: str, node: str) -> str:
        """Where results go that name no topic."""
        return f"{self.base}/results/{pipeline}/{node}"

    def dead_letter(self, pipeline: str) -> str:
        """Where dead letters are published."""
        return f"{self.base}/dlq/{pipeline}"
