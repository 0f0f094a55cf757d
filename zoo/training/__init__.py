"""Training: a recipe becomes weights. An interrupted run goes on to the same result.

`run` is the door for one stage and `stages` for several. `prepare` makes the trainer of a recipe,
`loop` is what it does, `objective` what it minimises. `checkpoint` and `run_folder` are what a run
leaves. Recipes are in `zoo.recipes`, and what a run takes its batches from in `zoo.feeding`.
"""
