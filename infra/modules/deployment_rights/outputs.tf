output "plan" {
  description = "By part, what planning takes."
  value       = { read = data.aws_iam_policy_document.read.json }
}

output "deploy" {
  description = "By part, what deploying takes; a policy holds 6144 characters, so there are several."
  value = {
    read    = data.aws_iam_policy_document.read.json
    by-name = data.aws_iam_policy_document.by_name.json
    by-tag  = data.aws_iam_policy_document.by_tag.json
  }
}
