"""Putting an attention into a backbone.

`sites` says what a place is, `families` and `stages` find the places, `probe` tells what runs there
and on which shapes, `layers` where no attention may be. `forms` are the modules that live there,
`attach` puts them in without renaming a key of the backbone, `decay` gives them their learning rate
where that depends on the layer. `insert` checks a `request` and hands it to `refine` or `replace`,
by the attention's role.
"""

from zoo.insertion.insert import insert
from zoo.insertion.request import Target

__all__ = ["Target", "insert"]
