"""The picture of explanations: `figure` arranges the panels of maps and of places on a `canvas`."""
