"""Deploying to AWS: what `make deploy`, `rollback`, `destroy`, `first-fill` and `infra-plan` run.

`release` tells the story of a deployment; the other files are its parts. AWS is spoken to by
boto3 and Terraform alone, so that AWS_ENDPOINT_URL turns all of it to an emulator.
"""
