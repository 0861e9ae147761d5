"""MLflow (https://mlflow.org/docs): runs, model versions, and the alias `champion`."""
