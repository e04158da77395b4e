"""Published tables and drift baselines (data)."""
