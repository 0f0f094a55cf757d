"""A model as a file that runs without the zoo: ONNX, `torch.export`, TorchScript.

`door` is `zoo.export`, which is this package itself, called. `formats` says what there is and by
which endings, `programs` makes the file of each format and runs what it made, `inputs` are random
inputs of several sizes, `compare` says how far two outputs are apart. `facts` is what goes along,
`rest` the state in which a model is exported, `target` the file, `result` what was found.
"""

from zoo.runtime.callable_package import make_callable

make_callable(__name__, "zoo.export.door:export")
