# Who may speak with whom.
mock_provider "aws" {
  source = "./tests/mocks"
}

run "network" {
  module {
    source = "./modules/network"
  }

  variables {
    name           = "flightline-staging"
    cidr           = "10.20.0.0/16"
    zone_count     = 3
    nat_per_zone   = true
    boundary_arn   = "arn:aws:iam::123456789012:policy/flightline-boundary"
    key_arn        = "arn:aws:kms:us-east-1:123456789012:key/1"
    retention_days = 365
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.public.from_port == 443 && aws_vpc_security_group_ingress_rule.public.to_port == 443
    )
    error_message = "Only 443 is open to the world."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.inside : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null])
    error_message = "Inside, a rule names a security group and no addresses."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.inside : rule.from_port == rule.to_port && rule.ip_protocol == "tcp"])
    error_message = "A rule opens one port."
  }

  assert {
    condition     = !anytrue([for name, talk in local.conversations : talk.from == "balancer" && talk.to != "service"])
    error_message = "From the load balancer only the service is reached."
  }

  assert {
    condition     = join(" ", sort([for talk in values(local.conversations) : talk.to if talk.from == "service"])) == "cache database files"
    error_message = "What answers strangers has no way to MLflow or Prefect."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.from_port == 443 && rule.to_port == 443])
    error_message = "Tasks reach the world over TLS only."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.inside) == length(aws_vpc_security_group_ingress_rule.inside)
    error_message = "Each conversation has a rule at both ends."
  }

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private)) : subnet.map_public_ip_on_launch != true])
    error_message = "Nothing gets a public address by being in a subnet."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "With nat_per_zone each zone has a NAT gateway."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "REJECT"
    error_message = "Refused connections are logged."
  }
}

run "one_nat_for_all" {
  module {
    source = "./modules/network"
  }

  variables {
    name           = "flightline-staging"
    cidr           = "10.20.0.0/16"
    zone_count     = 2
    nat_per_zone   = false
    boundary_arn   = "arn:aws:iam::123456789012:policy/flightline-boundary"
    key_arn        = "arn:aws:kms:us-east-1:123456789012:key/1"
    retention_days = 365
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 2
    error_message = "One NAT gateway serves all zones."
  }
}
