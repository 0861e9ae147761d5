output "name" {
  description = "Name of the bucket."
  # Not before the bucket is private.
  value      = aws_s3_bucket.this.bucket
  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}
