# The way of a request: TLS, two tracks, private tasks without rights they do not need.
mock_provider "aws" {
  source = "./tests/mocks"
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
    project               = "flightline"
    name                  = "flightline-production"
    cluster_arn           = "arn:aws:ecs:us-east-1:123456789012:cluster/flightline-production"
    cluster_name          = "flightline-production"
    image                 = "registry/flightline/service@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    canary_image          = "registry/flightline/service@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
    flows_image           = "registry/flightline/flows@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    settings              = { FLIGHTLINE_PROFILE = "aws" }
    service_settings      = { FLIGHTLINE_SERVING__WATCH = "false" }
    secrets               = { PGPASSWORD = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x/y-abcdef:password::", FLIGHTLINE_SERVING__API_KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x/z-abcdef" }
    bucket_access         = [{ arn = "arn:aws:s3:::feast", access = "read" }]
    subnet_ids            = ["subnet-1", "subnet-2"]
    security_group_id     = "sg-1"
    target_group_arns     = { stable = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/stable/1", canary = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/canary/1" }
    target_group_suffixes = { stable = "targetgroup/stable/1", canary = "targetgroup/canary/1" }
    balancer_suffix       = "app/some/1"
    rollback_alarms       = ["errors", "slow"]
    cpu                   = 1024
    memory                = 4096
    least_tasks           = 3
    most_tasks            = 12
    boundary_arn          = "arn:aws:iam::123456789012:policy/flightline-boundary"
    key_arn               = "arn:aws:kms:us-east-1:123456789012:key/1"
    retention_days        = 365
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

run "task" {
  module {
    source = "./modules/task"
  }

  variables {
    project          = "flightline"
    environment_name = "flightline-production"
    name             = "flightline-production-stable"
    short_name       = "stable"
    cpu              = 1024
    memory           = 4096
    boundary_arn     = "arn:aws:iam::123456789012:policy/flightline-boundary"
    key_arn          = "arn:aws:kms:us-east-1:123456789012:key/1"
    retention_days   = 365
    containers = [
      { name = "service", image = "some/service@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ports = [8000], starts_after = ["model-sync"], secrets = { KEY = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x/y-abcdef:password::" } },
      { name = "model-sync", image = "some/flows@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", essential = false, health = ["CMD", "true"], health_seconds = 5 },
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
    condition = length(distinct([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : jsonencode(container.mountPoints)
    ])) == 1
    error_message = "Service and model sync share their folders."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].dependsOn == [{ containerName = "model-sync", condition = "HEALTHY" }]
    error_message = "What starts after another container waits for its health."
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
    project          = "flightline"
    environment_name = "flightline-production"
    name             = "flightline-production-stable"
    short_name       = "stable"
    cpu              = 1024
    memory           = 4096
    boundary_arn     = "arn:aws:iam::123456789012:policy/flightline-boundary"
    key_arn          = "arn:aws:kms:us-east-1:123456789012:key/1"
    retention_days   = 365
    bucket_access    = [{ arn = "arn:aws:s3:::feast", access = "read" }]
    containers       = [{ name = "service", image = "some/service@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }]
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
    project          = "flightline"
    environment_name = "flightline-production"
    name             = "flightline-production-stable"
    short_name       = "stable"
    cpu              = 1024
    memory           = 4096
    boundary_arn     = "arn:aws:iam::123456789012:policy/flightline-boundary"
    key_arn          = "arn:aws:kms:us-east-1:123456789012:key/1"
    retention_days   = 365
    containers       = [{ name = "service", image = "some/service:latest" }]
  }

  expect_failures = [var.containers]
}
