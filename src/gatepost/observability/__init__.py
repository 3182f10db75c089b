"""What operators see: structured logs with stable reason codes and incident ids.

Owns: log formatting and the scrubbing of secrets.
Depends on: the standard library.
"""
