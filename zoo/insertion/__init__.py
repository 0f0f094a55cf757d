"""Putting an attention into a backbone.

`sites` says what a place is, `families` and `stages` find the places, `forms` are the modules that
live there, `attach` puts them in without renaming a key of the backbone, `insert` does it all.
"""

from zoo.insertion.insert import insert

__all__ = ["insert"]
