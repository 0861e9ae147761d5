# One task definition: its containers, its log, and two roles of its own. The execution role starts it (image, secrets,
# log); the task role is what the code in it may do.
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  name      = "${var.place.name}-${var.name}"
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  account   = data.aws_caller_identity.current.account_id

  # valueFrom may name a key in the secret (arn:json-key::); the right to read it is on the secret.
  secret_arns = distinct([
    for value in flatten([for container in var.containers : values(container.secrets)]) :
    join(":", slice(split(":", value), 0, 7))
  ])

  # Account and region of each image's registry, which may be another account's.
  registries = distinct([
    for container in var.containers :
    try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.", container.image), [local.account, local.region])
  ])

  writable = [for path in var.writable_paths : replace(trim(path, "/"), "/[^a-zA-Z0-9]+/", "-")]
  mounts = [
    for index, path in var.writable_paths :
    {
      sourceVolume  = local.writable[index]
      containerPath = path
      readOnly      = try(var.file_folders[path].is_read_only, false)
    }
  ]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "execution" {
  # This one action knows no resource.
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid     = "PullTheProjectsImages"
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [
      for place in local.registries : "arn:${local.partition}:ecr:${place[1]}:${place[0]}:repository/${var.place.project}/*"
    ]
  }

  statement {
    sid       = "WriteItsLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  dynamic "statement" {
    for_each = length(local.secret_arns) == 0 ? [] : [local.secret_arns]

    content {
      sid       = "ReadItsSecrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = statement.value
    }
  }

  statement {
    sid       = "DecryptThem"
    actions   = ["kms:Decrypt"]
    resources = [var.place.key_arn]
  }
}

resource "aws_iam_role" "execution" {
  name                 = "${local.name}-start"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.place.boundary_arn
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "task" {
  name                 = "${local.name}-task"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.place.boundary_arn
}

data "aws_iam_policy_document" "buckets" {
  dynamic "statement" {
    for_each = length(var.bucket_access) == 0 ? [] : [1]

    content {
      sid       = "List"
      actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
      resources = var.bucket_access[*].arn
    }
  }

  dynamic "statement" {
    for_each = length(var.bucket_access) == 0 ? [] : [1]

    content {
      sid       = "Read"
      actions   = ["s3:GetObject"]
      resources = [for bucket in var.bucket_access : "${bucket.arn}/*"]
    }
  }

  dynamic "statement" {
    for_each = contains(var.bucket_access[*].access, "write") ? [1] : []

    content {
      sid       = "Write"
      actions   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      resources = [for bucket in var.bucket_access : "${bucket.arn}/*" if bucket.access == "write"]
    }
  }

  dynamic "statement" {
    for_each = length(var.bucket_access) == 0 ? [] : [1]

    content {
      sid       = "UseTheKey"
      actions   = contains(var.bucket_access[*].access, "write") ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
      resources = [var.place.key_arn]
    }
  }
}

data "aws_iam_policy_document" "folders" {
  dynamic "statement" {
    for_each = var.file_folders

    content {
      actions = concat(
        ["elasticfilesystem:ClientMount"], statement.value.is_read_only ? [] : ["elasticfilesystem:ClientWrite"]
      )
      resources = [statement.value.file_system_arn]
      condition {
        test     = "StringEquals"
        variable = "elasticfilesystem:AccessPointArn"
        values   = [statement.value.access_point_arn]
      }
    }
  }
}

resource "aws_iam_role_policy" "folders" {
  count = length(var.file_folders) == 0 ? 0 : 1

  name   = "folders"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.folders.json
}

data "aws_iam_policy_document" "entered" {
  # checkov:skip=CKV_AWS_356:these actions know no resource
  # checkov:skip=CKV_AWS_111:these actions know no resource
  statement {
    sid = "BeEntered"
    actions = [
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "entered" {
  count = var.is_entered ? 1 : 0

  name   = "entered"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.entered.json
}

resource "aws_iam_role_policy" "task" {
  count = length(var.bucket_access) == 0 ? 0 : 1

  name   = "buckets"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.buckets.json
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.place.name}/${var.name}"
  retention_in_days = var.place.retention_days
  kms_key_id        = var.place.key_arn
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  track_latest             = true
  # To take an old one away is a right that AWS gives for all of the account's; and ECS goes back to them.
  skip_destroy = true

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.place.architecture
  }

  ephemeral_storage {
    size_in_gib = var.storage_gb
  }

  dynamic "volume" {
    for_each = { for index, path in var.writable_paths : local.writable[index] => lookup(var.file_folders, path, null) }

    content {
      name = volume.key

      dynamic "efs_volume_configuration" {
        for_each = volume.value == null ? [] : [volume.value]

        content {
          file_system_id     = efs_volume_configuration.value.file_system_id
          transit_encryption = "ENABLED"

          authorization_config {
            access_point_id = efs_volume_configuration.value.access_point_id
            iam             = "ENABLED"
          }
        }
      }
    }
  }

  container_definitions = jsonencode([
    for container in var.containers : merge(
      {
        name                   = container.name
        image                  = container.image
        essential              = true
        user                   = "10001:10001"
        readonlyRootFilesystem = !var.is_entered
        stopTimeout            = 60
        environment            = [for name, value in container.environment : { name = name, value = value }]
        secrets                = [for name, value in container.secrets : { name = name, valueFrom = value }]
        mountPoints            = local.mounts
        portMappings = [
          for port in container.ports : { containerPort = port, hostPort = port, protocol = "tcp" }
        ]
        linuxParameters = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
        logConfiguration = {
          logDriver = "awslogs"
          options = {
            awslogs-group         = aws_cloudwatch_log_group.this.name
            awslogs-region        = local.region
            awslogs-stream-prefix = container.name
          }
        }
      },
      container.entry_point == null ? {} : { entryPoint = container.entry_point },
      container.command == null ? {} : { command = container.command },
      container.health == null ? {} : {
        healthCheck = { command = container.health, interval = container.health_seconds, timeout = 10, retries = 3, startPeriod = 120 }
      },
    )
  ])
}
