"""What several first-party mechanisms share: checked options, warm starts. A plugin of no kind."""
