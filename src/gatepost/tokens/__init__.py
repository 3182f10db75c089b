"""Minting, recognising and fingerprinting of secrets. PURE.

Owns: the shape of every secret Gatepost hands out, the one-way fingerprint under which a store keeps it, and sealing
(authenticated encryption) of what must be read back.
Depends on: the standard library and `cryptography`. No clock, no log, no I/O; randomness is an argument.
"""
