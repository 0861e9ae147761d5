# Brings the champion from MLflow to the folder that the service reads. It runs apart from the service, so that the container
# that answers strangers has no way to MLflow. Should it end, the service goes on with the model it has, and ECS starts it again.
locals {
  # Made after its first look at the registry.
  looked = "/tmp/looked"
}

module "task" {
  source = "../task"

  place        = var.place
  name         = "model-sync"
  cpu          = 256
  memory       = 1024
  file_folders = { "/srv/flightline/.state" = var.folder }

  containers = [{
    name           = "model-sync"
    image          = var.image
    command        = ["python", "-m", "pipelines.commands.model_sync", "--looked", local.looked]
    environment    = var.settings
    health         = ["CMD", "test", "-f", local.looked]
    health_seconds = 5
  }]
}

resource "aws_ecs_service" "this" {
  name            = "${var.place.name}-model-sync"
  cluster         = var.place.cluster_arn
  task_definition = module.task.arn
  desired_count   = 1
  propagate_tags  = "SERVICE"

  # One at a time writes to the folder.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  capacity_provider_strategy {
    capacity_provider = var.capacity
    weight            = 1
  }

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }
}
