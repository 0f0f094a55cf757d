"""What a host is: nothing here changes it.

`survey` runs it on fake tensors, `outputs` and `layouts` say where in an output the map or the
tokens are and how they lie, and `where` finds the layout at a place. `families` knows the blocks of
well-known networks, `defaults` the places that nobody needs to name, and `skips` where an earlier
map is taken up again.
"""
