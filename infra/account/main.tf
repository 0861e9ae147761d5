# Applied once for each AWS account, by a person: what its environments share, and what must be there before the first of
# them. `make infra-account` keeps its own state in the bucket that it makes, since no bucket is there before.
provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.project, part = "account" }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  # Names of hosts and zones stand in one place: the environment's own file.
  hosts = { for name in var.environments : name => provider::terraform::decode_tfvars(file("${path.module}/../environments/${name}.tfvars")) }

  # From where each role of an environment may be taken. A plan reads the environment's state, so pull requests, which run
  # what nobody has reviewed yet, plan staging only.
  plans_from = { staging = ["pull_request", "ref:refs/heads/main"], production = ["ref:refs/heads/main"] }

  has_images = var.images_account == null || var.images_account == data.aws_caller_identity.current.account_id
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  arn        = "arn:${local.partition}"
}

module "encryption" {
  source = "../modules/encryption"

  name      = "${var.project}-shared"
  protected = var.protected
}

module "state" {
  source = "../modules/bucket"

  name            = "${var.project}-terraform-${local.account}"
  key_arn         = module.encryption.key_arn
  protected       = var.protected
  noncurrent_days = 365
}

module "registry" {
  source = "../modules/registry"
  count  = local.has_images ? 1 : 0

  project      = var.project
  repositories = ["service", "flows"]
  key_arn      = module.encryption.key_arn
  force_delete = !var.protected
  readers      = var.image_readers
}

# No role that a workflow makes can do more than this, whatever policy is attached to it.
data "aws_iam_policy_document" "boundary" {
  # checkov:skip=CKV_AWS_111:a boundary gives no right, it bounds those that a role's own policy gives on named resources
  # checkov:skip=CKV_AWS_356:a boundary gives no right, it bounds those that a role's own policy gives on named resources
  # checkov:skip=CKV_AWS_108:a boundary gives no right, it bounds those that a role's own policy gives on named resources
  # checkov:skip=CKV_AWS_109:a boundary gives no right, it bounds those that a role's own policy gives on named resources
  statement {
    sid = "WhatTasksMayEverDo"
    actions = [
      "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListBucket", "s3:GetBucketLocation",
      "secretsmanager:GetSecretValue", "kms:Decrypt", "kms:GenerateDataKey", "kms:Sign", "kms:GetPublicKey", "ecr:GetAuthorizationToken",
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer",
      "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutRetentionPolicy",
      "logs:DescribeLogStreams", "logs:GetLogEvents", "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_policy" "boundary" {
  name        = "${var.project}-boundary"
  description = "Bounds every role of ${var.project} that Terraform makes for tasks"
  policy      = data.aws_iam_policy_document.boundary.json
}

data "aws_iam_policy_document" "push" {
  count = local.has_images ? 1 : 0

  # This one action knows no resource.
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "PushImages"
    actions = [
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
      "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
    ]
    resources = values(module.registry[0].arns)
  }
}

module "rights" {
  source   = "../modules/deployment_rights"
  for_each = var.environments

  project         = var.project
  environment     = each.key
  region          = var.region
  state_bucket    = module.state.arn
  state_key_arn   = module.encryption.key_arn
  boundary_arn    = aws_iam_policy.boundary.arn
  host_name       = local.hosts[each.key].host_name
  hosted_zone_id  = local.hosts[each.key].hosted_zone_id
  public_zone_ids = [for host in local.hosts : host.hosted_zone_id]
  images_account  = var.images_account
}

module "github" {
  source = "../modules/github_oidc"

  project        = var.project
  repository     = var.repository
  repository_ids = var.repository_ids
  has_provider   = var.has_github_provider
  roles = merge(
    {
      for name in local.has_images ? ["image"] : [] : name => {
        description = "Pushes images"
        trusted     = ["ref:refs/heads/main"]
        policies    = { push = data.aws_iam_policy_document.push[0].json }
      }
    },
    {
      for environment in var.environments : "plan-${environment}" => {
        description = "Plans ${environment} and sees drift; changes nothing but the lock"
        trusted     = local.plans_from[environment]
        policies    = module.rights[environment].plan
      }
    },
    {
      for environment in var.environments : environment => {
        description = "Deploys ${environment}"
        # GitHub's environment, where a person approves production.
        trusted  = ["environment:${environment}"]
        policies = module.rights[environment].deploy
        # Longer than the longest job that deploys: an apply whose credentials end leaves a lock and half of its work.
        session_seconds = 3 * 3600
      }
    },
  )
}
