# The key that signs models. Its private half never leaves AWS; who registers models may use it, nobody else may.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

data "aws_iam_policy_document" "key" {
  # checkov:skip=CKV_AWS_109:in a key's own policy * is this key
  # checkov:skip=CKV_AWS_111:in a key's own policy * is this key
  # checkov:skip=CKV_AWS_356:in a key's own policy * is this key
  # Without the account's root nobody could ever change it again; who signs is decided by the roles' own policies.
  statement {
    sid       = "AccountDecidesByIam"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "this" {
  # checkov:skip=CKV_AWS_7:AWS rotates no asymmetric key; docs/deploy.md says how to change it
  description              = "Signs the models of ${var.name}"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = var.protected ? 30 : 7
  policy                   = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-signing"
  target_key_id = aws_kms_key.this.key_id
}

data "aws_kms_public_key" "this" {
  key_id = aws_kms_key.this.key_id
}

data "aws_iam_policy_document" "sign" {
  statement {
    sid       = "SignModels"
    actions   = ["kms:Sign", "kms:GetPublicKey"]
    resources = [aws_kms_key.this.arn]
  }
}
