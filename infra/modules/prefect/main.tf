# Prefect's server, which owns every schedule, and the worker that runs the flows. There is no other scheduler.
module "server" {
  source = "../task"

  place        = var.place
  name         = "prefect"
  cpu          = var.server_cpu
  memory       = var.server_memory
  file_folders = { "/srv/flightline/.state" = var.folder }

  containers = [{
    name    = "prefect"
    image   = var.image
    command = ["prefect", "server", "start", "--host", "0.0.0.0", "--port", "4200"]
    environment = {
      PREFECT_SERVER_DATABASE_DRIVER   = "postgresql+asyncpg"
      PREFECT_SERVER_DATABASE_HOST     = var.database_host
      PREFECT_SERVER_DATABASE_PORT     = tostring(var.database_port)
      PREFECT_SERVER_DATABASE_USER     = var.database_user
      PREFECT_SERVER_DATABASE_NAME     = "prefect"
      PREFECT_SERVER_ANALYTICS_ENABLED = "false"
      # Who holds a flow's one place, in a folder that outlives the task: in memory, the default, a server that is replaced
      # forgets it, the place stays taken in the database, and the flow never runs again.
      PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE = "prefect.server.concurrency.lease_storage.filesystem"
      PREFECT_HOME                             = "/srv/flightline/.state/prefect"
      # Its pages are written out when it starts; the image cannot be written to.
      PREFECT_UI_STATIC_DIRECTORY = "/tmp/prefect-ui"
      # Whom its pages ask, in a browser at the near end of the way of docs/deploy.md.
      PREFECT_SERVER_UI_API_URL = "http://127.0.0.1:4200/api"
      PGSSLMODE                 = "require"
      DO_NOT_TRACK              = "true"
    }
    secrets = { PREFECT_SERVER_DATABASE_PASSWORD = "${var.database_secret_arn}:password::" }
    ports   = [4200]
    health = [
      "CMD", "python", "-c",
      "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:4200/api/health', timeout=5)",
    ]
  }]
}

resource "aws_ecs_service" "server" {
  name            = "${var.place.name}-prefect"
  cluster         = var.place.cluster_arn
  task_definition = module.server.arn
  launch_type     = "FARGATE"
  desired_count   = 1
  propagate_tags  = "SERVICE"

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = [var.security_group_ids["prefect"]]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = var.discovery_arn
  }
}

module "worker" {
  source = "../task"

  place      = var.place
  name       = "worker"
  cpu        = var.worker_cpu
  memory     = var.worker_memory
  storage_gb = var.worker_storage_gb
  # data/ is replaced by a rename, so it lies with .state/ and .dvc/ on one disk: a copy of the project in /work.
  writable_paths = ["/work", "/tmp"]
  bucket_access  = var.bucket_access

  containers = [{
    name  = "worker"
    image = var.image
    # Commands that are run from this task in place of the worker's come after it too.
    entry_point = ["sh", "-c", "cp -R /srv/flightline/. /work/ && cd /work && exec \"$@\"", "--"]
    command     = var.worker_command
    environment = merge(var.settings, { FLIGHTLINE_ROOT = "/work", PREFECT_HOME = "/work/.state/prefect", HOME = "/tmp" })
    secrets     = var.secrets
  }]
}

# Of all tasks this one alone signs: it registers what it trains.
resource "aws_iam_role_policy" "sign" {
  name   = "sign"
  role   = module.worker.task_role_name
  policy = var.sign_policy
}

resource "aws_ecs_service" "worker" {
  name            = "${var.place.name}-worker"
  cluster         = var.place.cluster_arn
  task_definition = module.worker.arn
  launch_type     = "FARGATE"
  desired_count   = 1
  propagate_tags  = "SERVICE"

  # The old one ends before the new one begins, so that no schedule is served twice.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  network_configuration {
    subnets          = var.place.subnet_ids
    security_groups  = [var.security_group_ids["flows"]]
    assign_public_ip = false
  }
}
