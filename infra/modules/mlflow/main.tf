# The tracking server. It alone reads and writes the bucket of models: clients go through it, so they need no right there.
module "task" {
  source = "../task"

  place         = var.place
  name          = "mlflow"
  cpu           = var.cpu
  memory        = var.memory
  bucket_access = [{ arn = var.bucket_arn, access = "write" }]

  containers = [{
    name  = "mlflow"
    image = var.image
    command = [
      "mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "2",
      "--backend-store-uri", "postgresql+psycopg://${var.database_user}@${var.database_host}:${var.database_port}/mlflow",
      "--artifacts-destination", "s3://${var.bucket_name}", "--serve-artifacts",
      # Only its own name is answered, which keeps DNS rebinding out; the health check asks by localhost.
      "--allowed-hosts", "${var.host}:5000,localhost:*,127.0.0.1:*",
    ]
    environment = {
      PGSSLMODE                          = "require"
      AWS_REGION                         = var.region
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false"
      MLFLOW_DISABLE_TELEMETRY           = "true"
      HOME                               = "/tmp"
    }
    secrets = { PGPASSWORD = "${var.database_secret_arn}:password::" }
    ports   = [5000]
    health = [
      "CMD", "python", "-c",
      "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:5000/health', timeout=5)",
    ]
  }]
}

resource "aws_ecs_service" "this" {
  name            = "${var.place.name}-mlflow"
  cluster         = var.place.cluster_arn
  task_definition = module.task.arn
  desired_count   = var.tasks
  propagate_tags  = "SERVICE"

  capacity_provider_strategy {
    capacity_provider = var.capacity
    weight            = 1
  }

  deployment_circuit_breaker {
    enable   = false # before the database is set up it starts again and again, and that is right
    rollback = false
  }

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = [var.security_group_id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = var.discovery_arn
  }
}
