"""The page of `gatepost dev` at `/dev`, on which tools are tried in a browser, and the tokens that it calls with.

Owns: who may use the page, the state that it shows, what it is made of.
Depends on: `web/site`, rules and records of tokens. Nothing but `gatepost dev` imports it.
"""
