"""A drawing of what a module does with its input, made from the module itself.

`trace` runs the module and notes every layer and operation, `layout` finds places for them, `svg`
draws.
"""
