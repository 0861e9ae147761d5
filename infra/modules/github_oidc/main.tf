# GitHub's workflows come by OIDC: no key of AWS lies in GitHub. Who may take which role is the token's subject.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  issuer = "token.actions.githubusercontent.com"
  # An account has at most one provider of an issuer; if another project has made it, it is used as it is.
  provider_arn = var.has_provider ? (
    "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:oidc-provider/${local.issuer}"
  ) : aws_iam_openid_connect_provider.this[0].arn

  # Repositories made since 2026-07-15 send the ids of owner and repository beside their names: a name that is given up and
  # taken by somebody else is not trusted.
  names      = split("/", var.repository)
  repository = var.repository_ids == null ? var.repository : "${local.names[0]}@${var.repository_ids.owner}/${local.names[1]}@${var.repository_ids.repository}"
  subjects   = { for name, role in var.roles : name => [for from in role.trusted : "repo:${local.repository}:${from}"] }

  policies = merge([
    for name, role in var.roles : { for part, policy in role.policies : "${name}-${part}" => { role = name, policy = policy } }
  ]...)
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.has_provider ? 0 : 1

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = var.roles

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [local.provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
    # No patterns: a subject is trusted as it is written.
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = local.subjects[each.key]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = var.roles

  name                 = "${var.project}-github-${each.key}"
  description          = each.value.description
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = each.value.session_seconds
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name        = "${var.project}-github-${each.key}"
  description = "What ${var.project}-github-${each.value.role} may do: a part of it"
  policy      = each.value.policy
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.policies

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = aws_iam_policy.this[each.key].arn
}
