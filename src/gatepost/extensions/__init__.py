"""Extensions of the protocol that Gatepost brings, one folder or module each; `server/extension.py` has what one is."""
