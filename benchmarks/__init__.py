"""How fast Gatepost is, beside its peers and beside the fastest that the same HTTP server allows.

`make benchmark` runs everything and writes `RESULTS.md`; `make benchmark ARGS="--help"` lists what can be chosen. Every
figure that counts is a ratio of runs taken side by side on one machine: absolute figures are noise between machines.

Owns: the peers' environments and servers, the load, the measurements, the report. Standard library only, for it runs
beside servers and must not need what they need. Linux only: it pins processes to cores and reads /proc.
"""
