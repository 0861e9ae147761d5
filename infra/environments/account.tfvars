# What one AWS account needs once, for all its environments. With an account for each, one such file for each:
# account-staging.tfvars and account-production.tfvars (docs/deploy.md).
# CHANGE: your repository. One made since 2026-07-15 has ids in its tokens: gh api repos/owner/name --jq '.owner.id, .id'
repository     = "owner/name"
repository_ids = null # { owner = 1, repository = 2 }

# Whether `aws iam list-open-id-connect-providers` lists token.actions.githubusercontent.com already.
has_github_provider = false
