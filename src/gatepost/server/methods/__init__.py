"""The methods of MCP that a `Server` answers: one function each, found by name in the tables of `dispatch`.

Each takes the server as it is served, the request, its revision and its exchange. A feature that the server has nothing
of is no method at all.
"""
