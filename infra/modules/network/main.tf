# A VPC in which only the load balancer has a public address. Who may speak with whom is in outputs' security groups:
# local.conversations is the whole list, and each line makes one rule at either end.
data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:only the first zone_count names are taken, and AWS adds zones at the end of the alphabet
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"] # no local zones
  }
}

data "aws_region" "current" {}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, var.zone_count)
  nats  = var.nat_per_zone ? local.zones : slice(local.zones, 0, 1)

  members = toset(["balancer", "service", "model-sync", "flows", "mlflow", "prefect", "setup", "pages", "files", "database", "cache"])

  conversations = {
    balancer-service = { from = "balancer", to = "service", port = 8000 }
    service-database = { from = "service", to = "database", port = 5432 }
    service-cache    = { from = "service", to = "cache", port = 6379 }
    service-files    = { from = "service", to = "files", port = 2049 }
    sync-mlflow      = { from = "model-sync", to = "mlflow", port = 5000 }
    sync-files       = { from = "model-sync", to = "files", port = 2049 }
    flows-database   = { from = "flows", to = "database", port = 5432 }
    flows-cache      = { from = "flows", to = "cache", port = 6379 }
    flows-mlflow     = { from = "flows", to = "mlflow", port = 5000 }
    flows-prefect    = { from = "flows", to = "prefect", port = 4200 }
    mlflow-database  = { from = "mlflow", to = "database", port = 5432 }
    prefect-database = { from = "prefect", to = "database", port = 5432 }
    prefect-files    = { from = "prefect", to = "files", port = 2049 }
    pages-mlflow     = { from = "pages", to = "mlflow", port = 5000 }
    pages-prefect    = { from = "pages", to = "prefect", port = 4200 }
    setup-database   = { from = "setup", to = "database", port = 5432 }
  }

  # Tasks reach AWS's own interfaces (registry, secrets, logs, S3), and nothing else outside.
  tasks = toset(["service", "model-sync", "flows", "mlflow", "prefect", "setup", "pages"])
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# Takes the rules that AWS gives it away: what names no group of its own can reach nothing.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "public" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value)

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value + 8)

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" {
  for_each = toset(local.nats)

  domain = "vpc"
}

resource "aws_nat_gateway" "this" {
  for_each = aws_eip.nat

  allocation_id = each.value.id
  subnet_id     = aws_subnet.public[each.key].id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "private" {
  for_each = aws_subnet.private

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "nat" {
  for_each = aws_route_table.private

  route_table_id         = each.value.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.nat_per_zone ? each.key : local.nats[0]].id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

# Data and models go to S3 without the NAT gateway, which charges by the gigabyte.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for table in aws_route_table.private : table.id]
}

resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5:attached in the other modules, which get the group's id; the check does not follow it there
  for_each = local.members

  name        = "${var.name}-${each.key}"
  description = "What the ${each.key} of ${var.name} may hear and say"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  security_group_id = aws_security_group.this["balancer"].id
  description       = "HTTPS from anywhere: the one open door"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "inside" {
  for_each = local.conversations

  security_group_id            = aws_security_group.this[each.value.to].id
  description                  = "From the ${each.value.from}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.this[each.value.from].id
}

resource "aws_vpc_security_group_egress_rule" "inside" {
  for_each = local.conversations

  security_group_id            = aws_security_group.this[each.value.from].id
  description                  = "To the ${each.value.to}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.this[each.value.to].id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = local.tasks

  security_group_id = aws_security_group.this[each.key].id
  description       = "To AWS over TLS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/${var.name}/network"
  retention_in_days = var.retention_days
  kms_key_id        = var.key_arn
}

data "aws_iam_policy_document" "flow_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "flow" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.flow.arn}:*"]
  }
}

resource "aws_iam_role" "flow" {
  name                 = "${var.name}-network-log"
  assume_role_policy   = data.aws_iam_policy_document.flow_trust.json
  permissions_boundary = var.boundary_arn
}

resource "aws_iam_role_policy" "flow" {
  name   = "write"
  role   = aws_iam_role.flow.id
  policy = data.aws_iam_policy_document.flow.json
}

resource "aws_flow_log" "this" {
  vpc_id          = aws_vpc.this.id
  traffic_type    = "REJECT"
  iam_role_arn    = aws_iam_role.flow.arn
  log_destination = aws_cloudwatch_log_group.flow.arn
}
