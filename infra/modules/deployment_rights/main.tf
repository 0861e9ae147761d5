# What a workflow may do to one environment, and to no other of the account. What bears a name is bounded by the environment's
# name; what AWS names by an id (networks, keys, certificates) by the tag `environment`, which default_tags gives to everything.
# Reading is of descriptions and of the environment's own state, which holds no secret. A test compares these with every
# call that Terraform makes, and asks whether staging may harm production.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  name    = "${var.project}-${var.environment}"
  arn     = "arn:${data.aws_partition.current.partition}"
  account = data.aws_caller_identity.current.account_id
  here    = "${var.region}:${local.account}"
  state   = "environments/${var.environment}.tfstate"
  tags    = { project = var.project, environment = var.environment }

  # By action, the kind of thing that it makes; what it makes it of has a tag already.
  makes = {
    "ec2:AllocateAddress"               = "elastic-ip"
    "ec2:AuthorizeSecurityGroupEgress"  = "security-group-rule"
    "ec2:AuthorizeSecurityGroupIngress" = "security-group-rule"
    "ec2:CreateFlowLogs"                = "vpc-flow-log"
    "ec2:CreateInternetGateway"         = "internet-gateway"
    "ec2:CreateNatGateway"              = "natgateway"
    "ec2:CreateRouteTable"              = "route-table"
    "ec2:CreateSecurityGroup"           = "security-group"
    "ec2:CreateSubnet"                  = "subnet"
    "ec2:CreateVpc"                     = "vpc"
    "ec2:CreateVpcEndpoint"             = "vpc-endpoint"
  }
}

data "aws_iam_policy_document" "read" {
  # checkov:skip=CKV_AWS_356:descriptions, most of which take no resource; states and objects are named below
  statement {
    sid = "Descriptions"
    actions = [
      "acm:DescribeCertificate", "acm:ListTagsForCertificate",
      "application-autoscaling:Describe*", "application-autoscaling:ListTagsForResource",
      "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource",
      "ec2:Describe*", "ecs:Describe*", "ecs:List*",
      "elasticache:Describe*", "elasticache:ListTagsForResource",
      "elasticfilesystem:Describe*", "elasticfilesystem:ListTagsForResource", "elasticloadbalancing:Describe*",
      "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
      "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies",
      "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListAliases",
      "kms:ListResourceTags",
      "logs:DescribeLogGroups", "logs:ListTagsForResource",
      "rds:Describe*", "rds:ListTagsForResource",
      "route53:GetChange", "route53:GetHostedZone", "route53:ListResourceRecordSets", "route53:ListTagsForResource",
      "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
      "s3:GetReplicationConfiguration", "s3:ListAllMyBuckets",
      "servicediscovery:Get*", "servicediscovery:List*",
      "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListTagsForResource",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "Names"
    actions   = ["cloudwatch:GetDashboard", "s3:ListBucket"]
    resources = ["${local.arn}:cloudwatch::${local.account}:dashboard/${local.name}", "${local.arn}:s3:::${local.name}-*"]
  }

  # What is live: who plans asks with those images. It lies apart from all else in that bucket, and holds no secret.
  statement {
    sid       = "WhatIsLive"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn}:s3:::${local.name}-exports-${local.account}/deployments/*"]
  }

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

  # That secrets are there, and never what is in them.
  statement {
    sid       = "DescribeSecrets"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]
    resources = ["${local.arn}:secretsmanager:${local.here}:secret:${local.name}/*"]
  }

  # Takes no resource: it only makes up a password, which nothing keeps.
  statement {
    sid       = "MakeUpAPassword"
    actions   = ["secretsmanager:GetRandomPassword"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "by_name" {
  # checkov:skip=CKV_AWS_111:bounded by the environment's name; metrics, which have no resource, are only read
  # checkov:skip=CKV_AWS_356:bounded by the environment's name; metrics, which have no resource, are only read
  # checkov:skip=CKV_AWS_109:bounded by the environment's name; roles by a boundary besides
  # checkov:skip=CKV_AWS_108:bounded by the environment's name
  statement {
    sid       = "WriteState"
    actions   = ["s3:PutObject"]
    resources = ["${var.state_bucket}/${local.state}"]
  }

  statement {
    sid = "WhatBearsTheName"
    actions = [
      "cloudwatch:*", "ecs:*", "elasticache:*", "elasticloadbalancing:*", "logs:*", "rds:*", "s3:*", "secretsmanager:*", "sns:*",
    ]
    resources = [
      "${local.arn}:cloudwatch:${local.here}:alarm:${local.name}-*",
      "${local.arn}:cloudwatch::${local.account}:dashboard/${local.name}",
      "${local.arn}:ecs:${local.here}:cluster/${local.name}",
      "${local.arn}:ecs:${local.here}:service/${local.name}/*",
      "${local.arn}:ecs:${local.here}:task/${local.name}/*",
      "${local.arn}:ecs:${local.here}:task-definition/${local.name}-*",
      "${local.arn}:elasticache:${local.here}:*:${local.name}*",
      "${local.arn}:elasticache:${local.here}:parametergroup:default.*", # asked for when a cache is made
      "${local.arn}:elasticloadbalancing:${local.here}:listener/app/${local.name}/*",
      "${local.arn}:elasticloadbalancing:${local.here}:loadbalancer/app/${local.name}/*",
      "${local.arn}:elasticloadbalancing:${local.here}:targetgroup/${local.name}-*",
      "${local.arn}:logs:${local.here}:log-group:/${local.name}/*",
      "${local.arn}:rds:${local.here}:*:${local.name}*",
      "${local.arn}:rds:${local.here}:og:default:*", # asked for when a database is made
      "${local.arn}:s3:::${local.name}-*",
      "${local.arn}:secretsmanager:${local.here}:secret:${local.name}/*",
      "${local.arn}:sns:${local.here}:${local.name}-*",
    ]
  }

  statement {
    sid       = "CanaryMetrics"
    actions   = ["cloudwatch:GetMetricData"]
    resources = ["*"]
  }

  statement {
    sid       = "AreTheImagesThere"
    actions   = ["ecr:BatchGetImage", "ecr:DescribeImages"]
    resources = ["${local.arn}:ecr:*:${coalesce(var.images_account, local.account)}:repository/${var.project}/*"]
  }

  # The environment's name and the proof of its certificate, and nobody else's name in that zone.
  statement {
    sid       = "NameTheService"
    actions   = ["route53:ChangeResourceRecordSets"]
    resources = ["${local.arn}:route53:::hostedzone/${var.hosted_zone_id}"]
    condition {
      test     = "ForAllValues:StringLike"
      variable = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
      values   = [var.host_name, "_*.${var.host_name}"]
    }
    condition {
      test     = "Null"
      variable = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
      values   = ["false"]
    }
  }

  # Private names of tasks are a zone too, which Cloud Map makes and removes with the caller's rights. Route 53 lets nobody else
  # remove or change a zone of Cloud Map, nor one that holds records; the public zones are out of reach.
  statement {
    sid           = "NameTasks"
    actions       = ["route53:CreateHostedZone", "route53:DeleteHostedZone"]
    not_resources = [for zone in var.public_zone_ids : "${local.arn}:route53:::hostedzone/${zone}"]
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
    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values = [
        "ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com", "elasticache.amazonaws.com",
        "elasticfilesystem.amazonaws.com", "elasticloadbalancing.amazonaws.com", "rds.amazonaws.com",
      ]
    }
  }
}

data "aws_iam_policy_document" "by_tag" {
  # checkov:skip=CKV_AWS_111:what AWS names by an id is bounded by its tag
  # checkov:skip=CKV_AWS_356:what AWS names by an id is bounded by its tag
  # checkov:skip=CKV_AWS_109:what AWS names by an id is bounded by its tag
  statement {
    sid     = "WhatBearsTheTag"
    actions = ["acm:*", "application-autoscaling:*", "ec2:*", "elasticfilesystem:*", "kms:*", "servicediscovery:*"]
    resources = [
      for service in ["acm", "application-autoscaling", "ec2", "elasticfilesystem", "kms", "servicediscovery"] :
      "${local.arn}:${service}:${local.here}:*"
    ]
    dynamic "condition" {
      for_each = local.tags

      content {
        test     = "StringEquals"
        variable = "aws:ResourceTag/${condition.key}"
        values   = [condition.value]
      }
    }
  }

  dynamic "statement" {
    for_each = local.makes

    content {
      actions   = [statement.key]
      resources = ["${local.arn}:ec2:${local.here}:${statement.value}/*"]
      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/environment"
        values   = [var.environment]
      }
    }
  }

  statement {
    sid = "MakeWithTheTag"
    actions = [
      "acm:RequestCertificate", "elasticfilesystem:CreateFileSystem", "kms:CreateKey", "servicediscovery:CreatePrivateDnsNamespace",
    ]
    resources = ["*"]
    dynamic "condition" {
      for_each = local.tags

      content {
        test     = "StringEquals"
        variable = "aws:RequestTag/${condition.key}"
        values   = [condition.value]
      }
    }
  }

  statement {
    sid     = "MakePartsWithTheTag"
    actions = ["application-autoscaling:RegisterScalableTarget", "servicediscovery:CreateService"]
    resources = [
      "${local.arn}:application-autoscaling:${local.here}:scalable-target/*",
      "${local.arn}:servicediscovery:${local.here}:service/*",
    ]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/environment"
      values   = [var.environment]
    }
  }

  # A tag is given to what has none: what was just made, and the default security group of a new network. Nobody takes another's.
  # Not Cloud Map's, whose TagResource knows no resource: it takes tags when something is made, and they stay as they are.
  statement {
    sid = "TagWhatHasNoTag"
    actions = [
      "acm:AddTagsToCertificate", "application-autoscaling:TagResource", "ec2:CreateTags", "elasticfilesystem:TagResource",
      "kms:TagResource",
    ]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/environment"
      values   = [var.environment]
    }
    condition {
      test     = "Null"
      variable = "aws:ResourceTag/environment"
      values   = ["true"]
    }
  }

  # EFS makes one in each subnet, which has to bear the tag.
  statement {
    sid       = "MountTargets"
    actions   = ["ec2:CreateNetworkInterface"]
    resources = ["${local.arn}:ec2:${local.here}:network-interface/*"]
  }

  statement {
    sid       = "NamesOfKeys"
    actions   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
    resources = ["${local.arn}:kms:${local.here}:alias/${local.name}", "${local.arn}:kms:${local.here}:alias/${local.name}-*"]
  }
}
