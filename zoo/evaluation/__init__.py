"""Measuring a model on a data set, with the same numbers on one device or on many.

`evaluate(model, open_data("mnist"))` measures. `Evaluation.record` is the record as JSON.
"""

from __future__ import annotations

from zoo.data.preprocessing import Preprocessing
from zoo.data.resolve import open_data
from zoo.evaluation.predictor import Predictor
from zoo.evaluation.record import Evaluation, write_record
from zoo.evaluation.runner import evaluate

__all__ = ["Evaluation", "Predictor", "Preprocessing", "evaluate", "open_data", "write_record"]
