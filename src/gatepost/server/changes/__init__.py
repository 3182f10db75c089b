"""What changes at run time: the change bus, its sync with other processes, the subscriptions of clients.

Depends on: `server.calls`, `stores.contract`, the rules.
"""
