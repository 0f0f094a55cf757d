"""Training: a recipe (TOML) becomes weights. An interrupted run goes on to the same result."""
