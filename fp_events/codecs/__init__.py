"""Payload formats: bytes to values and back. No pickle, no type names, nothing that could run code."""

from .decoding import decode, decoder
from .encoding import encode, values_encoder
from .errors import EncodeError
from .exact import decode_exact, digest, encode_exact
from .limits import DEFAULT_LIMITS, Limits
from .requests import decode_request
from .state import decode_state, encode_state, state_to_json

__all__ = [
    "DEFAULT_LIMITS",
    "EncodeError",
    "Limits",
    "decode",
    "decode_exact",
    "decode_request",
    "decode_state",
    "decoder",
    "digest",
    "encode",
    "encode_exact",
    "encode_state",
    "state_to_json",
    "values_encoder",
]
