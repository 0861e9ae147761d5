"""When to retrain: policies judged on a matrix of models and later weeks, without fitting again."""
