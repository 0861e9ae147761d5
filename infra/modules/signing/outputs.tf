output "arn" {
  description = "ARN of the key."
  value       = aws_kms_key.this.arn
}

output "public_key" {
  description = "Its public half, as PEM: whom model sync and service believe."
  value       = data.aws_kms_public_key.this.public_key_pem
}

output "sign_policy" {
  description = "What whoever registers models may do with it."
  value       = data.aws_iam_policy_document.sign.json
}
