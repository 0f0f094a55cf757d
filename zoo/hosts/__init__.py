"""Any attention in any `torch.nn.Module`, which is called the host.

`add` is the door, `check` says which hosts are refused, `places` reads `at=`, and `sites` lists
places. `zoo.hosts.reading` learns what a host is, and changes nothing. `zoo.hosts.planning` says
what is put where. `forms` are the modules that live in a host and `swap` puts them there and takes
them out again. `freeze` and `rates` train the attention alone, or at rates of its own. What was
added is saved and loaded by `zoo.adapters`.
"""
