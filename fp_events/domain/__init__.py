"""Pure values and rules: standard library only, no asyncio, no input or output.

Every other package may import this one; this one imports none of them.
"""
