"""What every request to the origin passes, whatever it asks for.

Owns: host and origin checks, limits per address, request bodies, errors, health, the API description.
Depends on: `observability`, `stores.contract`, the rules.
"""
