"""The `gatepost` command; one module per subcommand.

Owns: arguments, what is printed, exit codes. Depends on: `app`, `settings` and below.
"""
