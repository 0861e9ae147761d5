# The way of a request: TLS, two tracks, private tasks without rights they do not need.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  place = {
    project        = "flightline"
    name           = "flightline-production"
    cluster_arn    = "arn:aws:ecs:us-east-1:123456789012:cluster/flightline-production"
    subnet_ids     = ["subnet-1", "subnet-2"]
    architecture   = "X86_64"
    key_arn        = "arn:aws:kms:us-east-1:123456789012:key/1"
    boundary_arn   = "arn:aws:iam::123456789012:policy/flightline-boundary"
    retention_days = 365
  }
}

run "balancer" {
  module {
    source = "./modules/balancer"
  }

  variables {
    name              = "flightline-production"
    host_name         = "predictions.example.com"
    hosted_zone_id    = "Z0000000000000000000"
    vpc_id            = "vpc-1"
    public_subnet_ids = ["subnet-1", "subnet-2"]
    security_group_id = "sg-1"
    log_bucket        = "logs"
    canary_percent    = 20
    protected         = true
  }

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.port == 443
    error_message = "The one listener speaks TLS."
  }

  assert {
    condition     = startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13-1-2")
    error_message = "Nothing older than TLS 1.2 is spoken."
  }

  assert {
    condition     = aws_lb.this.enable_deletion_protection && aws_lb.this.drop_invalid_header_fields
    error_message = "A protected load balancer refuses to be deleted; malformed headers end there."
  }

  assert {
    condition     = toset(aws_lb_listener.https.default_action[0].forward[0].target_group[*].weight) == toset([80, 20])
    error_message = "The canary gets its share and the stable service the rest."
  }

  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : group.health_check[0].path == "/health/live"])
    error_message = "A task counts as healthy when it is alive, also before it has a model."
  }
}

run "service" {
  module {
    source = "./modules/service"
  }

  variables {
    cluster_name          = "flightline-production"
    image                 = "registry/flightline/service@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    canary_image          = "registry/flightline/service@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
    capacity              = "FARGATE"
    folder                = { file_system_id = "fs-1", file_system_arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", access_point_id = "fsap-1", access_point_arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1" }
    settings              = { FLIGHTLINE_PROFILE = "aws" }
    service_settings      = { FLIGHTLINE_SERVING__WATCH = "false" }
    secrets               = { PGPASSWORD = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x/y-abcdef:password::", FLIGHTLINE_SERVING__API_KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x/z-abcdef" }
    bucket_access         = [{ arn = "arn:aws:s3:::feast", access = "read" }]
    security_group_id     = "sg-1"
    target_group_arns     = { stable = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/stable/1", canary = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/canary/1" }
    target_group_suffixes = { stable = "targetgroup/stable/1", canary = "targetgroup/canary/1" }
    balancer_suffix       = "app/some/1"
    rollback_alarms       = ["errors", "slow"]
    cpu                   = 1024
    memory                = 4096
    least_tasks           = 3
    most_tasks            = 12
  }

  assert {
    condition = alltrue([
      for service in [aws_ecs_service.stable, aws_ecs_service.canary[0]] : !service.network_configuration[0].assign_public_ip
    ])
    error_message = "No task has a public address."
  }

  assert {
    condition     = aws_ecs_service.stable.deployment_circuit_breaker[0].rollback && aws_ecs_service.stable.alarms[0].rollback
    error_message = "A deployment that fails, or sets off an alarm, is taken back."
  }

  assert {
    condition     = aws_appautoscaling_target.this.min_capacity == 3 && aws_appautoscaling_target.this.max_capacity == 12
    error_message = "The service scales between its bounds."
  }

  assert {
    condition     = keys(output.task_definitions) == ["canary", "stable"]
    error_message = "Each track has a task of its own image."
  }
}

run "files" {
  module {
    source = "./modules/files"
  }

  variables {
    name              = "flightline-production"
    subnet_ids        = ["subnet-1", "subnet-2"]
    security_group_id = "sg-1"
    key_arn           = "arn:aws:kms:us-east-1:123456789012:key/1"
  }

  assert {
    condition     = aws_efs_file_system.this.encrypted && length(aws_efs_mount_target.this) == 2
    error_message = "Folders are encrypted and reached from each zone."
  }

  assert {
    condition     = length(distinct([for point in aws_efs_access_point.this : point.root_directory[0].path])) == 2
    error_message = "Served models and Prefect's places lie in folders of their own."
  }
}

run "task" {
  module {
    source = "./modules/task"
  }

  variables {
    name   = "stable"
    cpu    = 1024
    memory = 4096
    file_folders = {
      "/srv/flightline/.state" = { file_system_id = "fs-1", file_system_arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", access_point_id = "fsap-1", access_point_arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1", is_read_only = true }
    }
    containers = [
      { name = "service", image = "some/service@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ports = [8000], secrets = { KEY = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x/y-abcdef:password::" } },
    ]
  }

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) :
      container.readonlyRootFilesystem && container.user == "10001:10001" && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "Containers run as nobody special, with a read-only root and no capabilities."
  }

  assert {
    condition = {
      for mount in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].mountPoints : mount.containerPath => mount.readOnly
    } == { "/srv/flightline/.state" = true, "/tmp" = false }
    error_message = "A folder that a task only reads is mounted so."
  }

  assert {
    condition = join(" ", flatten([
      for statement in data.aws_iam_policy_document.folders.statement : concat(tolist(statement.actions), tolist(one(statement.condition).values))
    ])) == "elasticfilesystem:ClientMount arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1"
    error_message = "Who reads a folder may not write to it, and reaches no other."
  }

  assert {
    condition     = local.secret_arns == tolist(["arn:aws:secretsmanager:us-east-1:123456789012:secret:x/y-abcdef"])
    error_message = "The right to read is on the secret that is used, and no other."
  }

  assert {
    condition     = aws_iam_role.execution.permissions_boundary != null && aws_iam_role.task.permissions_boundary != null
    error_message = "Every role is bounded."
  }

  assert {
    condition     = length(aws_iam_role_policy.task) == 0
    error_message = "Code that needs no bucket may do nothing in AWS."
  }
}

run "task_that_reads_a_bucket" {
  module {
    source = "./modules/task"
  }

  variables {
    name          = "stable"
    cpu           = 1024
    memory        = 4096
    bucket_access = [{ arn = "arn:aws:s3:::feast", access = "read" }]
    containers    = [{ name = "service", image = "some/service@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }]
  }

  assert {
    condition = toset(flatten(data.aws_iam_policy_document.buckets.statement[*].actions)) == toset([
      "s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "kms:Decrypt",
    ])
    error_message = "The service reads Feast's registry and cannot write it: what stands there would be run."
  }
}

run "signing" {
  module {
    source = "./modules/signing"
  }

  variables {
    name      = "flightline-production"
    protected = true
  }

  assert {
    condition     = aws_kms_key.this.key_usage == "SIGN_VERIFY" && aws_kms_key.this.customer_master_key_spec == "ECC_NIST_P256"
    error_message = "The key signs, and does nothing else."
  }

  assert {
    condition     = [for statement in data.aws_iam_policy_document.sign.statement : [statement.actions, statement.resources]] == [[toset(["kms:GetPublicKey", "kms:Sign"]), toset([aws_kms_key.this.arn])]]
    error_message = "Who signs may sign by this key and do nothing else with it."
  }
}

run "an_image_by_tag" {
  command = plan

  module {
    source = "./modules/task"
  }

  variables {
    name       = "stable"
    cpu        = 1024
    memory     = 4096
    containers = [{ name = "service", image = "some/service:latest" }]
  }

  expect_failures = [var.containers]
}
