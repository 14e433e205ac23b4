"""What encoding can complain of; what decoding can is in `domain.errors`."""

from __future__ import annotations

from fp_events.domain.errors import FpEventsError


class EncodeError(FpEventsError):
    """A value has no encoding: its type is unknown, a number too large, or not finite where that is an error."""
