"""Any attention in any `torch.nn.Module`, which is called the host.

`add` is the door, and `planning` says what is put where, by `convolutions`, `mixers` and `gates`.
`check` says which hosts are refused, `survey` runs the host on fake tensors, `places` reads `at=`,
`families` knows default places, `layouts` and `outputs` say where in an output the map or the
tokens are, `softmax` knows the attentions that can be replaced. `forms` are the modules that live
in a host and `swap` puts them there and takes them out again. `sites` lists places. What was added
is saved and loaded by `zoo.adapters`.
"""
