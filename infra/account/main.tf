# Applied once for each AWS account, by a person: what all environments share, and what must be there before the first of
# them. Its own state is a local file, which holds no secret; it is given to the state bucket afterwards for safe keeping.
provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.project, part = "account" }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  arn       = "arn:${local.partition}"
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

  project      = var.project
  repositories = ["service", "flows"]
  key_arn      = module.encryption.key_arn
  force_delete = !var.protected
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
      "logs:DescribeLogStreams", "logs:GetLogEvents",
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
    resources = values(module.registry.arns)
  }
}

module "rights" {
  source   = "../modules/deployment_rights"
  for_each = toset(["staging", "production"])

  project       = var.project
  environment   = each.key
  region        = var.region
  state_bucket  = module.state.arn
  state_key_arn = module.encryption.key_arn
  boundary_arn  = aws_iam_policy.boundary.arn
}

module "github" {
  source = "../modules/github_oidc"

  project = var.project
  roles = merge(
    {
      image = {
        description = "Pushes images"
        subjects    = var.trusted_subjects.image
        policy      = data.aws_iam_policy_document.push.json
      }
    },
    {
      for environment in ["staging", "production"] : "plan-${environment}" => {
        description        = "Plans ${environment} and sees drift; changes nothing but the lock"
        subjects           = var.trusted_subjects["plan-${environment}"]
        policy             = module.rights[environment].plan
        managed_policy_arn = "${local.arn}:iam::aws:policy/ReadOnlyAccess"
      }
    },
    {
      for environment in ["staging", "production"] : environment => {
        description        = "Deploys ${environment}"
        subjects           = var.trusted_subjects[environment]
        policy             = module.rights[environment].deploy
        managed_policy_arn = "${local.arn}:iam::aws:policy/ReadOnlyAccess"
      }
    },
  )
}
