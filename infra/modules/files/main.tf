# Folders that outlive the tasks that use them: the served models, which the model sync writes and the service reads, and
# who holds a place of Prefect's. Each has an access point, and a task reaches no other folder than that of its own.
resource "aws_efs_file_system" "this" {
  encrypted       = true
  kms_key_id      = var.key_arn
  throughput_mode = "elastic"

  tags = { Name = var.name }
}

data "aws_iam_policy_document" "this" {
  # Whoever comes by an access point over TLS is let in by a right of its own role; nobody else is.
  statement {
    sid       = "ByTlsOnly"
    effect    = "Deny"
    actions   = ["*"]
    resources = [aws_efs_file_system.this.arn]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_efs_file_system_policy" "this" {
  file_system_id = aws_efs_file_system.this.id
  policy         = data.aws_iam_policy_document.this.json
}

resource "aws_efs_mount_target" "this" {
  count = length(var.subnet_ids)

  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = var.subnet_ids[count.index]
  security_groups = [var.security_group_id]
}

resource "aws_efs_access_point" "this" {
  for_each = toset(["serving", "prefect"])

  file_system_id = aws_efs_file_system.this.id

  posix_user {
    uid = 10001
    gid = 10001
  }

  root_directory {
    path = "/${each.key}"

    creation_info {
      owner_uid   = 10001
      owner_gid   = 10001
      permissions = "0750"
    }
  }

  tags = { Name = "${var.name}-${each.key}" }
}
