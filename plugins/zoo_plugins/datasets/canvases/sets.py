"""The data sets by name, each called with (root, split).

Sizes are those of Mnih et al. 2014 (arXiv 1406.6247; how many pieces 100x100 canvases have is
given as four or as eight by different sources), Ba et al. 2015 (arXiv 1412.7755) and Jaderberg et
al. 2015 (arXiv 1506.02025). `mnist_clutter_seed100` has eight pieces of 9 x 9 pixels.

There are two readings of Ba et al.'s pairs and sums. `mnist_pairs_cluttered` and
`mnist_addition_uniform` follow the generator that the authors' group published: digits land
anywhere, also on one another. `mnist_pairs` and `mnist_addition` keep the digits apart on an empty
canvas, which is an easier task that no paper has.
"""

from __future__ import annotations

from functools import partial

from zoo_plugins.datasets.canvases.canvas import Canvas
from zoo_plugins.datasets.canvases.distort import Distorted
from zoo_plugins.datasets.canvases.drawn import Drawn
from zoo_plugins.datasets.canvases.pairs import Pair
from zoo_plugins.datasets.canvases.specs import ADDITION_CLASSES, PAIR_CLASSES
from zoo_plugins.datasets.canvases.sprites import Sprites

mnist_translated60 = partial(Drawn, "mnist_translated60", Canvas(60), 10)
mnist_cluttered60 = partial(Drawn, "mnist_cluttered60", Canvas(60, 4, 8), 10)
mnist_cluttered100 = partial(Drawn, "mnist_cluttered100", Canvas(100, 8, 8), 10)
mnist_clutter_seed100 = partial(Drawn, "mnist_clutter_seed100", Canvas(100, 8, 9), 10)
mnist_distorted_r = partial(Drawn, "mnist_distorted_r", Distorted("r"), 10)
mnist_distorted_rts = partial(Drawn, "mnist_distorted_rts", Distorted("rts", 42), 10)
mnist_distorted_p = partial(Drawn, "mnist_distorted_p", Distorted("p"), 10)
mnist_distorted_e = partial(Drawn, "mnist_distorted_e", Distorted("e"), 10)
mnist_pairs = partial(Drawn, "mnist_pairs", Pair(), 10)
mnist_addition = partial(Drawn, "mnist_addition", Pair(add=True), ADDITION_CLASSES)
mnist_pairs_cluttered = partial(Drawn, "mnist_pairs_cluttered", Sprites(pieces=8), PAIR_CLASSES)
mnist_addition_uniform = partial(
    Drawn, "mnist_addition_uniform", Sprites(target="sum"), ADDITION_CLASSES
)
