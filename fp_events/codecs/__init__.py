"""Payload formats: bytes to values and back. No pickle, no type names, nothing that could run code."""

from .decoding import decode, decoder
from .encoding import encode, values_encoder
from .errors import EncodeError
from .limits import DEFAULT_LIMITS, Limits
from .state import decode_state, encode_state, state_to_json

__all__ = [
    "DEFAULT_LIMITS",
    "EncodeError",
    "Limits",
    "decode",
    "decode_state",
    "decoder",
    "encode",
    "encode_state",
    "state_to_json",
    "values_encoder",
]
