"""From the environment to plain values: settings, deployment, targets by name, client file, sealing keys.

Owns: every environment variable and file that an operator writes, and what is refused as unsafe in public.
Depends on: the rules (`oauth`, `tokens`); nothing below `assembly` imports it.
"""
