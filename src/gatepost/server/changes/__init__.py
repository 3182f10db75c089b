"""What changes at run time: the bus in the process, its copy in other processes, the streams that tell clients."""
