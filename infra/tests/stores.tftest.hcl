# What holds data: private, encrypted, over TLS, and in production not to be deleted.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name      = "flightline-production"
  protected = true
  key_arn   = "arn:aws:kms:us-east-1:123456789012:key/1"
}

run "bucket" {
  module {
    source = "./modules/bucket"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "No bucket is public."
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.this.statement :
      [statement.effect, one(statement.condition).variable, one(one(statement.condition).values)]
    ] == [["Deny", "aws:SecureTransport", "false"]]
    error_message = "Requests without TLS are denied, and the policy allows nothing."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
    error_message = "Objects are encrypted by the environment's key."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "What is replaced or deleted can be had back."
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "A protected bucket is not destroyed with what it holds."
  }
}

run "database" {
  module {
    source = "./modules/database"
  }

  variables {
    subnet_ids        = ["subnet-1", "subnet-2"]
    security_group_id = "sg-1"
    instance_class    = "db.m7g.large"
    storage_gb        = 100
    multi_zone        = true
    backup_days       = 30
    admin_user        = "admin_of_flightline"
    first_password    = "of-the-mock"
    boundary_arn      = "arn:aws:iam::123456789012:policy/flightline-boundary"
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot && !aws_db_instance.this.delete_automated_backups
    error_message = "A protected database refuses to be deleted, and leaves a snapshot and its backups."
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible
    error_message = "The database is encrypted and private."
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "The database refuses connections without TLS."
  }

  assert {
    condition     = aws_db_instance.this.password == null
    error_message = "The password is write-only, so that no state holds it."
  }
}

run "cache" {
  module {
    source = "./modules/cache"
  }

  variables {
    subnet_ids        = ["subnet-1", "subnet-2"]
    security_group_id = "sg-1"
    node_type         = "cache.m7g.large"
    node_count        = 2
    snapshot_days     = 7
  }

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "Redis is spoken with over TLS only."
  }

  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled && aws_elasticache_replication_group.this.auth_token == null
    error_message = "Redis is encrypted, and no state holds its token."
  }

  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "With two nodes the loss of one is survived."
  }
}

run "one_node_in_staging" {
  module {
    source = "./modules/cache"
  }

  variables {
    name              = "flightline-staging"
    protected         = false
    subnet_ids        = ["subnet-1", "subnet-2"]
    security_group_id = "sg-1"
    node_type         = "cache.t4g.micro"
    node_count        = 1
    snapshot_days     = 1
  }

  assert {
    condition     = !aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.final_snapshot_identifier == null
    error_message = "Staging has one node and leaves nothing behind."
  }
}
