"""What `gatepost check` looks at, one module a concern: configuration, store, keys, process, network.

Owns: questions that can be answered before a start, each as findings. None of them changes anything that lasts.
Depends on: everything below `cli`.
"""
