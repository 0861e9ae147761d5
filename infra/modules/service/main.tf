# The prediction service on Fargate. It reads the champion from a folder that the model sync fills, and has no way to MLflow.
# Stable scales by load; the canary is there only while an image is tried.
locals {
  tracks = merge({ stable = var.image }, var.canary_image == null ? {} : { canary = var.canary_image })
}

module "task" {
  source   = "../task"
  for_each = local.tracks

  place         = var.place
  name          = each.key
  cpu           = var.cpu
  memory        = var.memory
  bucket_access = var.bucket_access
  file_folders  = { "/srv/flightline/.state" = merge(var.folder, { is_read_only = true }) }

  containers = [{
    name        = "service"
    image       = each.value
    environment = merge(var.settings, var.service_settings)
    secrets     = var.secrets
    ports       = [8000]
  }]
}

resource "aws_ecs_service" "stable" {
  name            = "${var.place.name}-stable"
  cluster         = var.place.cluster_arn
  task_definition = module.task["stable"].arn
  desired_count   = var.least_tasks
  propagate_tags  = "SERVICE"

  capacity_provider_strategy {
    capacity_provider = var.capacity
    weight            = 1
  }

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 120

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  alarms {
    enable      = true
    rollback    = true
    alarm_names = var.rollback_alarms
  }

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = var.target_group_arns["stable"]
    container_name   = "service"
    container_port   = 8000
  }

  lifecycle {
    ignore_changes = [desired_count] # autoscaling decides
  }
}

resource "aws_ecs_service" "canary" {
  count = var.canary_image == null ? 0 : 1

  name            = "${var.place.name}-canary"
  cluster         = var.place.cluster_arn
  task_definition = module.task["canary"].arn
  desired_count   = 1
  propagate_tags  = "SERVICE"

  capacity_provider_strategy {
    capacity_provider = var.capacity
    weight            = 1
  }

  health_check_grace_period_seconds = 120

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = var.target_group_arns["canary"]
    container_name   = "service"
    container_port   = 8000
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster_name}/${aws_ecs_service.stable.name}"
  min_capacity       = var.least_tasks
  max_capacity       = var.most_tasks
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${var.place.name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 55
    scale_out_cooldown = 30
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "requests" {
  name               = "${var.place.name}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.requests_per_task
    scale_out_cooldown = 30
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${var.balancer_suffix}/${var.target_group_suffixes["stable"]}"
    }
  }
}
