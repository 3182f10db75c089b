"""What each operation does, by concern, and what is over counts as absent."""
