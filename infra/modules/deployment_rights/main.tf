# What a workflow may do to one environment. Terraform needs many actions; so they are bounded by region, by the names
# of the environment where AWS lets a name be asked for, and, for roles, by a boundary that no role may be without.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  name    = "${var.project}-${var.environment}"
  arn     = "arn:${data.aws_partition.current.partition}"
  account = data.aws_caller_identity.current.account_id
  here    = "${var.region}:${local.account}"
  state   = "environments/${var.environment}.tfstate"

  # Read while planning: the token of Redis, which the state holds anyway, and what is read back in modules/secrets.
  read_secrets = [
    for secret in ["cache", "database-admin", "api-key"] :
    "${local.arn}:secretsmanager:${local.here}:secret:${local.name}/${secret}-??????"
  ]
}

data "aws_iam_policy_document" "state" {
  statement {
    sid       = "FindState"
    actions   = ["s3:ListBucket"]
    resources = [var.state_bucket]
  }

  statement {
    sid       = "ReadState"
    actions   = ["s3:GetObject"]
    resources = ["${var.state_bucket}/${local.state}"]
  }

  statement {
    sid       = "LockState"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${var.state_bucket}/${local.state}.tflock"]
  }

  statement {
    sid       = "UseTheKeyOfState"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.state_key_arn]
  }
}

data "aws_iam_policy_document" "plan" {
  source_policy_documents = [data.aws_iam_policy_document.state.json]

  statement {
    sid       = "ReadWhatAPlanReads"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = local.read_secrets
  }

  # Takes no resource: it only makes up a password.
  statement {
    sid       = "MakeUpAPassword"
    actions   = ["secretsmanager:GetRandomPassword"]
    resources = ["*"]
  }

  statement {
    sid       = "DecryptThroughSecretsManagerOnly"
    actions   = ["kms:Decrypt"]
    resources = ["${local.arn}:kms:${local.here}:key/*"]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "deploy" {
  # checkov:skip=CKV_AWS_111:what has no name before it is made is bounded by region; roles by a boundary, the rest by name
  # checkov:skip=CKV_AWS_356:what has no name before it is made is bounded by region; roles by a boundary, the rest by name
  # checkov:skip=CKV_AWS_109:what has no name before it is made is bounded by region; roles by a boundary, the rest by name
  source_policy_documents = [data.aws_iam_policy_document.plan.json]

  statement {
    sid       = "WriteState"
    actions   = ["s3:PutObject"]
    resources = ["${var.state_bucket}/${local.state}"]
  }

  # Networks, keys, load balancers and discovery have names only once they are made; other regions are out of reach.
  statement {
    sid = "MakeInThisRegion"
    actions = [
      "acm:*", "application-autoscaling:*", "cloudwatch:*", "ec2:*", "ecs:*", "elasticloadbalancing:*", "kms:*",
      "servicediscovery:*",
    ]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = [var.region]
    }
  }

  statement {
    sid     = "MakeWhatBearsTheName"
    actions = ["elasticache:*", "logs:*", "rds:*", "s3:*", "secretsmanager:*", "sns:*"]
    resources = [
      "${local.arn}:elasticache:${local.here}:*:${local.name}*",
      "${local.arn}:elasticache:${local.here}:parametergroup:default.*", # asked for when a cache is made
      "${local.arn}:logs:${local.here}:log-group:/${local.name}/*",
      "${local.arn}:rds:${local.here}:*:${local.name}*",
      "${local.arn}:rds:${local.here}:og:default:*", # asked for when a database is made
      "${local.arn}:s3:::${local.name}-*",
      "${local.arn}:secretsmanager:${local.here}:secret:${local.name}/*",
      "${local.arn}:sns:${local.here}:${local.name}-*",
    ]
  }

  # Private names of tasks are a hosted zone too.
  statement {
    sid       = "NameTheService"
    actions   = ["route53:ChangeResourceRecordSets", "route53:CreateHostedZone", "route53:DeleteHostedZone", "route53:GetChange"]
    resources = ["*"]
  }

  statement {
    sid       = "MakeBoundedRoles"
    actions   = ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"]
    resources = ["${local.arn}:iam::${local.account}:role/${local.name}-*"]
    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = [var.boundary_arn]
    }
  }

  statement {
    sid = "KeepThoseRoles"
    actions = [
      "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole", "iam:UntagRole",
      "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
    ]
    resources = ["${local.arn}:iam::${local.account}:role/${local.name}-*"]
  }

  statement {
    sid       = "HandThemToAws"
    actions   = ["iam:PassRole"]
    resources = ["${local.arn}:iam::${local.account}:role/${local.name}-*"]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com", "monitoring.rds.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
    }
  }

  statement {
    sid       = "LetAwsMakeItsOwnRoles"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.arn}:iam::${local.account}:role/aws-service-role/*"]
  }
}
