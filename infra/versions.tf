terraform {
  required_version = ">= 1.11, < 2.0"

  # Bucket, key and region come from `make infra-init`; the lock is an object beside the state.
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.project, environment = var.environment }
  }
}
