# Who is trusted, and how the state is kept.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  repository = "owner/name"
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
    condition     = join(" ", keys(output.repositories)) == "flows service"
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
    roles   = { staging = { description = "x", trusted = ["environment:staging"], policies = { all = "{}" } } }
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

run "a_new_repository_in_an_account_that_knows_github" {
  module {
    source = "./modules/github_oidc"
  }

  variables {
    project        = "flightline"
    repository_ids = { owner = 12, repository = 34 }
    has_provider   = true
    roles          = { staging = { description = "x", trusted = ["environment:staging"], policies = { all = "{}" } } }
  }

  assert {
    condition     = one(local.subjects["staging"]) == "repo:owner@12/name@34:environment:staging"
    error_message = "Of a repository made since 2026-07-15 the subject holds both ids."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0 && local.provider_arn == "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    error_message = "A provider that is there is used."
  }
}

run "production_in_an_account_of_its_own" {
  module {
    source = "./account"
  }

  variables {
    environments   = ["production"]
    images_account = "210987654321"
  }

  assert {
    condition     = keys(output.role_arns) == ["plan-production", "production"] && output.repositories == {}
    error_message = "An account holds the roles of its environments, and images lie in one account only."
  }
}

run "sessions" {
  module {
    source = "./account"
  }

  assert {
    condition     = alltrue([for name in ["staging", "production"] : module.github.session_seconds[name] > 120 * 60])
    error_message = "Credentials outlast the longest job that deploys, of 120 minutes."
  }

  assert {
    condition     = one(module.github.subjects["production"]) == "repo:owner/name:environment:production"
    error_message = "Production is trusted to GitHub's environment `production` only, where a person approves."
  }

  assert {
    condition     = !contains(module.github.subjects["plan-production"], "repo:owner/name:pull_request")
    error_message = "A plan reads the state, so no pull request plans production."
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
    project    = "flightline"
    repository = "owner/*"
    roles      = { staging = { description = "x", trusted = ["environment:staging"], policies = { all = "{}" } } }
  }

  expect_failures = [var.repository]
}

run "any_branch" {
  command = plan

  module {
    source = "./modules/github_oidc"
  }

  variables {
    project = "flightline"
    roles   = { staging = { description = "x", trusted = ["ref:refs/heads/*"], policies = { all = "{}" } } }
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
    roles   = { staging = { description = "x", trusted = [], policies = { all = "{}" } } }
  }

  expect_failures = [var.roles]
}
