"""The zoo's own plugins: mechanisms, networks and data sets, loaded like anyone's."""

from zoo.runtime.moved import find_moved
from zoo_plugins.moved import MOVED

find_moved(MOVED)
