"""Several servers behind one endpoint, under names that begin with a prefix for each.

Owns: whose a name, a URI, a cursor or a task is; lists made of several; which servers do not answer at the moment; the
sessions with each of them that one client session has; changes of all of them.
"""
