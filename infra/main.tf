# One environment: staging or production, by environments/*.tfvars. Modules implement, this file only composes.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  name      = "${var.project}-${var.environment}"
  protected = var.environment == "production" && !var.allow_destroy
  account   = data.aws_caller_identity.current.account_id
  # Tasks that another takes over from; the worker and Prefect's server stay where nothing interrupts a training.
  capacity = var.spot ? "FARGATE_SPOT" : "FARGATE"
  boundary = "arn:${data.aws_partition.current.partition}:iam::${local.account}:policy/${var.project}-boundary"

  # What every module that runs tasks is told of the environment.
  place = {
    project        = var.project
    name           = local.name
    cluster_arn    = module.cluster.arn
    subnet_ids     = module.network.private_subnet_ids
    architecture   = var.architecture
    key_arn        = module.encryption.key_arn
    boundary_arn   = local.boundary
    retention_days = var.log_days
  }

  # The `aws` profile: what outputs.tf writes to a file is what every task is given, so the two cannot differ.
  settings = {
    FLIGHTLINE_PROFILE             = "aws"
    FLIGHTLINE_CLOCK               = var.event_clock
    FLIGHTLINE_DVC_REMOTE_URL      = "s3://${module.bucket["dvc"].name}/data"
    FLIGHTLINE_MLFLOW_TRACKING_URI = "http://${module.cluster.hosts["mlflow"]}:5000"
    FLIGHTLINE_PREDICTION_LOG__URL = format("postgresql://%s@%s:%s/predictions",
    module.secrets.users["database-predictions"], module.database.host, module.database.port)
    FLIGHTLINE_PREDICTION_LOG__EXPORT_URL = "s3://${module.bucket["exports"].name}/predictions?region=${var.region}"
    FEAST_REGISTRY                        = "s3://${module.bucket["feast"].name}/registry.pb"
    FEAST_REDIS                           = "${module.cache.host}:${module.cache.port},ssl=true"
    FLIGHTLINE_MONITORING_URL             = "s3://${module.bucket["exports"].name}/monitoring?region=${var.region}"
    FLIGHTLINE_CLOUDWATCH_NAMESPACE       = local.name
    PREFECT_API_URL                       = "http://${module.cluster.hosts["prefect"]}:4200/api"
    PGSSLMODE                             = "require"
    AWS_REGION                            = var.region
  }

  # Whose signature model sync, service and worker believe. Apart from the profile, whose file has one line for each value.
  believed = { FLIGHTLINE_SIGNING__PUBLIC_KEY = module.signing.public_key }

  # Where each secret comes from; a key in it is named as ECS does.
  secrets = {
    PGPASSWORD           = "${module.secrets.arns["database-predictions"]}:password::"
    FEAST_REDIS_PASSWORD = "${module.secrets.arns["cache"]}:password::"
  }
  service_secrets = merge(local.secrets, {
    FLIGHTLINE_SERVING__API_KEYS        = module.secrets.arns["api-keys"]
    FLIGHTLINE_SERVING__LIMITS_PASSWORD = local.secrets["FEAST_REDIS_PASSWORD"]
  })
  worker_secrets = merge(local.secrets, { FLIGHTLINE_ALERTS__URL = "${module.secrets.arns["alerts"]}:url::" })
}

module "encryption" {
  source = "./modules/encryption"

  name      = local.name
  protected = local.protected
}

module "signing" {
  source = "./modules/signing"

  name      = local.name
  protected = local.protected
}

module "network" {
  source = "./modules/network"

  name           = local.name
  cidr           = var.vpc_cidr
  zone_count     = var.zone_count
  nat_per_zone   = var.nat_per_zone
  boundary_arn   = local.boundary
  key_arn        = module.encryption.key_arn
  retention_days = var.log_days
}

module "bucket" {
  source   = "./modules/bucket"
  for_each = toset(["dvc", "mlflow", "feast", "exports"])

  name      = "${local.name}-${each.key}-${local.account}"
  key_arn   = module.encryption.key_arn
  protected = local.protected
}

# The load balancer itself delivers here, which it can only under S3's own key. By the name of the service, which is the
# same in each region: the older accounts of the load balancer are not known for new ones.
data "aws_iam_policy_document" "access_logs" {
  statement {
    sid       = "BalancerWritesItsLog"
    actions   = ["s3:PutObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${local.name}-access-${local.account}/AWSLogs/${local.account}/*"]
    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }
  }
}

module "access_logs" {
  source = "./modules/bucket"

  name            = "${local.name}-access-${local.account}"
  protected       = local.protected
  expire_days     = var.log_days
  noncurrent_days = 1
  policies        = [data.aws_iam_policy_document.access_logs.json]
}

module "secrets" {
  source = "./modules/secrets"

  project   = var.project
  name      = local.name
  key_arn   = module.encryption.key_arn
  protected = local.protected
}

# No module makes it up, since mocks know no ephemeral resource.
ephemeral "aws_secretsmanager_random_password" "first" {
  password_length     = 48
  exclude_punctuation = true
}

module "database" {
  source = "./modules/database"

  name              = local.name
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["database"]
  key_arn           = module.encryption.key_arn
  instance_class    = var.database.instance_class
  storage_gb        = var.database.storage_gb
  multi_zone        = var.database.multi_zone
  backup_days       = var.database.backup_days
  protected         = local.protected
  admin_user        = module.secrets.users["database-admin"]
  first_password    = ephemeral.aws_secretsmanager_random_password.first.random_password
  boundary_arn      = local.boundary
}

module "cache" {
  source = "./modules/cache"

  name              = local.name
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["cache"]
  key_arn           = module.encryption.key_arn
  node_type         = var.cache.node_type
  node_count        = var.cache.node_count
  snapshot_days     = var.cache.snapshot_days
  protected         = local.protected
}

module "cluster" {
  source = "./modules/cluster"

  name   = local.name
  vpc_id = module.network.vpc_id
}

module "files" {
  source = "./modules/files"

  name              = local.name
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.network.security_group_ids["files"]
  key_arn           = module.encryption.key_arn
}

module "mlflow" {
  source = "./modules/mlflow"

  place               = local.place
  region              = var.region
  capacity            = local.capacity
  discovery_arn       = module.cluster.discovery_arns["mlflow"]
  host                = module.cluster.hosts["mlflow"]
  image               = var.flows_image
  bucket_name         = module.bucket["mlflow"].name
  bucket_arn          = module.bucket["mlflow"].arn
  database_host       = module.database.host
  database_port       = module.database.port
  database_user       = module.secrets.users["database-mlflow"]
  database_secret_arn = module.secrets.arns["database-mlflow"]
  security_group_id   = module.network.security_group_ids["mlflow"]
  tasks               = var.mlflow_tasks
}

module "prefect" {
  source = "./modules/prefect"

  place         = local.place
  discovery_arn = module.cluster.discovery_arns["prefect"]
  image         = var.flows_image
  settings      = merge(local.settings, local.believed, { FLIGHTLINE_SIGNING__KEY = "awskms:///${module.signing.arn}" })
  sign_policy   = module.signing.sign_policy
  secrets       = local.worker_secrets
  bucket_access = [
    for name in ["dvc", "feast", "exports"] : { arn = module.bucket[name].arn, access = "write" }
  ]
  folder              = module.files.folders["prefect"]
  database_host       = module.database.host
  database_port       = module.database.port
  database_user       = module.secrets.users["database-prefect"]
  database_secret_arn = module.secrets.arns["database-prefect"]
  security_group_ids  = module.network.security_group_ids
  worker_cpu          = var.worker.cpu
  worker_memory       = var.worker.memory
}

# Runs once after each apply, by `ecs run-task`: makes databases and users, and brings the prediction log's schema.
module "setup" {
  source = "./modules/task"

  place  = local.place
  name   = "setup"
  cpu    = 512
  memory = 1024

  containers = [{
    name    = "setup"
    image   = var.flows_image
    command = ["python", "-m", "pipelines.commands.databases"]
    environment = merge(local.settings, {
      FLIGHTLINE_DATABASES__ADMIN_URL = format("postgresql://%s@%s:%s/%s",
      module.secrets.users["database-admin"], module.database.host, module.database.port, module.database.admin_database)
    })
    secrets = merge(
      { FLIGHTLINE_DATABASES__ADMIN_PASSWORD = "${module.secrets.arns["database-admin"]}:password::" },
      {
        for owner in ["mlflow", "prefect", "predictions"] :
        "FLIGHTLINE_DATABASES__PASSWORDS__${upper(owner)}" => "${module.secrets.arns["database-${owner}"]}:password::"
      },
      { PGPASSWORD = local.secrets["PGPASSWORD"] },
    )
  }]
}

# A way to the pages of MLflow and Prefect, for who may start this task and a session of SSM in it (docs/deploy.md). It runs
# for an hour, and of all tasks it alone can be entered.
module "pages" {
  source = "./modules/task"

  place      = local.place
  name       = "pages"
  cpu        = 256
  memory     = 512
  is_entered = true

  containers = [{ name = "pages", image = var.flows_image, command = ["sleep", "3600"] }]
}

module "balancer" {
  source = "./modules/balancer"

  name              = local.name
  host_name         = var.host_name
  hosted_zone_id    = var.hosted_zone_id
  vpc_id            = module.network.vpc_id
  public_subnet_ids = module.network.public_subnet_ids
  security_group_id = module.network.security_group_ids["balancer"]
  log_bucket        = module.access_logs.name
  canary_percent    = var.canary_image == null ? 0 : var.canary_percent
  protected         = local.protected
}

module "model_sync" {
  source = "./modules/model_sync"

  place             = local.place
  capacity          = local.capacity
  image             = var.flows_image
  settings          = merge(local.settings, local.believed)
  folder            = module.files.folders["serving"]
  security_group_id = module.network.security_group_ids["model-sync"]
}

module "service" {
  source = "./modules/service"

  place        = local.place
  cluster_name = module.cluster.name
  image        = var.service_image
  canary_image = var.canary_image
  capacity     = local.capacity
  folder       = module.files.folders["serving"]
  # Without the addresses of what it has no way to.
  settings = merge(local.believed, {
    for name, value in local.settings : name => value
    if !contains(["FLIGHTLINE_MLFLOW_TRACKING_URI", "FLIGHTLINE_DVC_REMOTE_URL", "PREFECT_API_URL"], name)
  })
  service_settings = {
    # Longer than the load balancer keeps an idle connection: else it sends a request to one that is just being closed.
    FLIGHTLINE_SERVING__KEEP_ALIVE_SECONDS = tostring(module.balancer.idle_seconds + 15)
    FLIGHTLINE_SERVING__HSTS               = "true"
    FLIGHTLINE_SERVING__WATCH              = "false"
    FLIGHTLINE_SERVING__TRUSTED_PROXIES    = module.network.cidr
    # All tasks count together, in a database beside the features; the password comes as a secret.
    FLIGHTLINE_SERVING__LIMITS_URL = "rediss://${module.cache.host}:${module.cache.port}/1"
  }
  secrets               = local.service_secrets
  bucket_access         = [{ arn = module.bucket["feast"].arn, access = "read" }]
  security_group_id     = module.network.security_group_ids["service"]
  target_group_arns     = module.balancer.target_group_arns
  target_group_suffixes = module.balancer.target_group_suffixes
  balancer_suffix       = module.balancer.suffix
  rollback_alarms       = [for name in ["stable-errors", "stable-slow"] : module.alarms.names[name]]
  cpu                   = var.service.cpu
  memory                = var.service.memory
  least_tasks           = var.service.least_tasks
  most_tasks            = var.service.most_tasks
}

module "alarms" {
  source = "./modules/alarms"

  name                  = local.name
  key_arn               = module.encryption.key_arn
  emails                = var.alarm_emails
  balancer_suffix       = module.balancer.suffix
  target_group_suffixes = module.balancer.target_group_suffixes
  least_tasks           = var.service.least_tasks
  database              = module.database.identifier
  database_storage_gb   = var.database.storage_gb
  cache_nodes           = module.cache.node_ids
  cluster_name          = module.cluster.name
  services = {
    stable     = { name = "${local.name}-stable", tasks = var.service.least_tasks }
    model-sync = { name = "${local.name}-model-sync", tasks = 1 }
    mlflow     = { name = "${local.name}-mlflow", tasks = var.mlflow_tasks }
    prefect    = { name = "${local.name}-prefect", tasks = 1 }
    worker     = { name = "${local.name}-worker", tasks = 1 }
  }
}

module "rules" {
  source = "./modules/rules"

  name      = local.name
  topic_arn = module.alarms.topic_arn
}
