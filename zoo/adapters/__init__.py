"""Files of attention that was added to a host: kilobytes that go into the same host elsewhere.

`statement` is what such a file says of itself, `fingerprint` tells hosts apart, `save` writes
files, `rebuild` makes the forms that one describes, `load` puts them into a host, all or none.
"""
