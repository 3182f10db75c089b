"""Tasks: calls that are answered before they end (MCP ext-tasks, SEP-2663).

Owns: which calls become tasks, running them, what they ask their clients, and what is told of them.
Depends on: `server`, and the store's `tasks` and `grants`.

    call -> extension.py -> runs.py: kept in the store, then answered; run here (run.py), and how it ended is kept
    upkeep.py: says that this process lives, hears of other processes, adopts what was left behind
    watching.py: tells those who listen
"""
