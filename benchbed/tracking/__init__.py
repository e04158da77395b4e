"""What a run leaves behind: records, store, provenance, MLflow."""
