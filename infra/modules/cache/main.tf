# Redis for the online feature store: over TLS, with a token, and never evicting a feature in silence.
resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_replication_group" "this" {
  # checkov:skip=CKV2_AWS_50:on from two nodes on, which production has
  # checkov:skip=CKV_AWS_31:make deploy gives it its token, which would lie in the state here; see the end
  replication_group_id = var.name
  description          = "Online features of ${var.name}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.node_type
  num_cache_clusters   = var.node_count
  port                 = 6379

  subnet_group_name  = aws_elasticache_subnet_group.this.name
  security_group_ids = [var.security_group_id]
  # Evicts only keys that expire, and Feast writes none of these: a full store refuses writes, so the materialisation
  # fails and is seen, where an evicted feature would only be missing.
  parameter_group_name       = "default.redis7"
  automatic_failover_enabled = var.node_count > 1
  multi_az_enabled           = var.node_count > 1

  at_rest_encryption_enabled = true
  kms_key_id                 = var.key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  snapshot_retention_limit   = var.snapshot_days
  final_snapshot_identifier  = var.protected ? "${var.name}-final" : null
  auto_minor_version_upgrade = true
  apply_immediately          = !var.protected

  # `make deploy` gives it its token (tools/deploy/passwords.py), which this provider would keep in the state.
  lifecycle {
    ignore_changes = [auth_token, auth_token_update_strategy]
  }
}
