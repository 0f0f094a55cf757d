"""Convolutional networks of particular authors."""
