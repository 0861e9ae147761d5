# What one AWS account needs once, for all its environments.
# CHANGE: owner and name of your repository. One made since 2026-07-15 sends owner@id/name@id; see docs/deploy.md.
trusted_subjects = {
  image           = ["repo:owner/name:ref:refs/heads/main"]
  plan-staging    = ["repo:owner/name:pull_request", "repo:owner/name:ref:refs/heads/main"]
  plan-production = ["repo:owner/name:ref:refs/heads/main"]
  staging         = ["repo:owner/name:environment:staging"]
  production      = ["repo:owner/name:environment:production"]
}
