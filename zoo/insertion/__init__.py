"""Putting an attention into a backbone.

`sites` says what a place is, `families` and `stages` find the places, `forms` are the modules that
live there, `attach` puts them in without renaming a key of the backbone. `insert` checks a
`request` and hands it to `refine` or `replace`, by the attention's role.
"""

from zoo.insertion.insert import insert
from zoo.insertion.request import Target

__all__ = ["Target", "insert"]
