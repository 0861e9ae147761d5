# Small and cheap: one of each, and it can be destroyed.
environment = "staging"
vpc_cidr    = "10.20.0.0/16"
event_clock = "set"

# CHANGE: a name in a Route 53 zone of yours, and that zone.
host_name      = "staging.flightline.example"
hosted_zone_id = "Z00000000000000000000"

zone_count   = 2
nat_per_zone = false
service      = { cpu = 512, memory = 2048, least_tasks = 1, most_tasks = 3 }
worker       = { cpu = 2048, memory = 8192 }
mlflow_tasks = 1
spot         = true
database     = { instance_class = "db.t4g.small", storage_gb = 20, multi_zone = false, backup_days = 7 }
cache        = { node_type = "cache.t4g.micro", node_count = 1, snapshot_days = 1 }
log_days     = 365
alarm_emails = []
