"""What retention writes: a parquet file for each day, and the folder that it may go on to."""
