# Two of what must not stop, in three zones; nothing that holds data can be deleted by accident.
environment = "production"
vpc_cidr    = "10.30.0.0/16"
event_clock = "set"

# CHANGE: a name in a Route 53 zone of yours, and that zone.
host_name      = "flightline.example"
hosted_zone_id = "Z00000000000000000000"

zone_count   = 3
nat_per_zone = true
service      = { cpu = 1024, memory = 4096, least_tasks = 3, most_tasks = 12 }
worker       = { cpu = 4096, memory = 16384 }
mlflow_tasks = 2
database     = { instance_class = "db.m7g.large", storage_gb = 100, multi_zone = true, backup_days = 30 }
cache        = { node_type = "cache.m7g.large", node_count = 2, snapshot_days = 7 }
log_days     = 365
alarm_emails = []
