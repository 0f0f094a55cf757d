"""What is to be put where in a host: all of it is built, and fits, before the host is changed.

`planner` plans every place. What takes the place of a convolution, of a softmax attention or of
nothing but a skip connection is planned in `convolutions`, `mixers` and `gates`; `softmax` knows
the attentions that can be replaced, and `building` builds one mechanism for one place.
"""
