"""The maps of an explanation, as plain numbers; what they mean is said in `meaning`.

`evidence` is Grad-CAM (`cam`) of one of the model's `scores`. `mixing` shows where softmax
attentions look, by their `rows`. `refining` shows the gains of attentions that were put into a
model, at their `sites`. `own` are the maps that a model gives of itself.
"""
