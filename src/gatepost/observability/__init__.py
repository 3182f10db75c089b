"""What operators see: structured logs with stable reason codes and incident ids.

Owns: log formatting, the scrubbing of secrets, the audit trail.
Depends on: `stores.contract`, the rules.
"""
