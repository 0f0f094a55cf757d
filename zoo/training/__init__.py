"""Training: a recipe (TOML) becomes weights; interrupted runs resume to the same result."""
