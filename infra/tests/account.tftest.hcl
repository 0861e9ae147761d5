# Who is trusted, and how the state is kept.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  trusted_subjects = {
    image           = ["repo:owner/name:ref:refs/heads/main"]
    plan-staging    = ["repo:owner/name:pull_request"]
    plan-production = ["repo:owner/name:ref:refs/heads/main"]
    staging         = ["repo:owner/name:environment:staging"]
    production      = ["repo:owner@12/name@34:environment:production"]
  }
}

run "account" {
  module {
    source = "./account"
  }

  assert {
    condition     = keys(output.role_arns) == ["image", "plan-production", "plan-staging", "production", "staging"]
    error_message = "One role for each thing that a workflow does."
  }

  assert {
    condition     = keys(output.repositories) == ["flows", "service"]
    error_message = "One repository for each image."
  }

  assert {
    condition     = output.backend.bucket == "flightline-terraform-123456789012"
    error_message = "The state's bucket bears the account's number."
  }
}

run "trust" {
  module {
    source = "./modules/github_oidc"
  }

  variables {
    project = "flightline"
    roles   = { staging = { description = "x", subjects = ["repo:owner/name:environment:staging"], policy = "{}" } }
  }

  assert {
    condition = toset([
      for condition in one(data.aws_iam_policy_document.trust["staging"].statement).condition :
      "${condition.test} ${condition.variable} ${join(",", condition.values)}"
      ]) == toset([
      "StringEquals token.actions.githubusercontent.com:aud sts.amazonaws.com",
      "StringEquals token.actions.githubusercontent.com:sub repo:owner/name:environment:staging",
    ])
    error_message = "A role asks for the audience and for exactly the subjects it was given."
  }
}

run "registry" {
  module {
    source = "./modules/registry"
  }

  variables {
    project      = "flightline"
    repositories = ["service"]
    key_arn      = "arn:aws:kms:us-east-1:123456789012:key/1"
  }

  assert {
    condition     = aws_ecr_repository.this["service"].image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.this["service"].image_scanning_configuration[0].scan_on_push
    error_message = "A tag never changes its meaning, and each image is scanned."
  }
}

run "anyone_on_github" {
  command = plan

  module {
    source = "./modules/github_oidc"
  }

  variables {
    project = "flightline"
    roles   = { staging = { description = "x", subjects = ["repo:owner/*:environment:staging"], policy = "{}" } }
  }

  expect_failures = [var.roles]
}

run "nobody" {
  command = plan

  module {
    source = "./modules/github_oidc"
  }

  variables {
    project = "flightline"
    roles   = { staging = { description = "x", subjects = [], policy = "{}" } }
  }

  expect_failures = [var.roles]
}

run "production_from_a_branch" {
  command = plan

  module {
    source = "./account"
  }

  variables {
    trusted_subjects = {
      image           = ["repo:owner/name:ref:refs/heads/main"]
      plan-staging    = ["repo:owner/name:pull_request"]
      plan-production = ["repo:owner/name:ref:refs/heads/main"]
      staging         = ["repo:owner/name:environment:staging"]
      production      = ["repo:owner/name:ref:refs/heads/main"]
    }
  }

  expect_failures = [var.trusted_subjects]
}
