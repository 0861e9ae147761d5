output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Addresses of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer, one in each zone."
  value       = [for subnet in aws_subnet.public : subnet.id]
}

output "private_subnet_ids" {
  description = "Subnets of everything else, one in each zone."
  value       = [for subnet in aws_subnet.private : subnet.id]
}

output "security_group_ids" {
  description = "By member (see members in main.tf), its security group."
  value       = { for name, group in aws_security_group.this : name => group.id }
  # Nobody starts before the rules are there.
  depends_on = [aws_vpc_security_group_ingress_rule.inside, aws_vpc_security_group_egress_rule.inside]
}
