"""What people are told, apart from the language it is told in.

Owns: phrases: an English sentence with named values, which is translated where a page shows it.
Depends on: nothing.
"""
