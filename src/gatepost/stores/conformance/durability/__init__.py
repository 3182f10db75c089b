"""What was acknowledged is there after closing, after a process was killed, and after a caller has left."""
