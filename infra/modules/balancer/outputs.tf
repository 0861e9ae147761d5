output "url" {
  description = "Where the service answers."
  value       = "https://${var.host_name}"
}

output "target_group_arns" {
  description = "By track (stable, canary), its target group; known once the listener is there."
  value       = { for track, group in aws_lb_target_group.this : track => group.arn }
  depends_on  = [aws_lb_listener.https]
}

output "suffix" {
  description = "The load balancer's name in CloudWatch."
  value       = aws_lb.this.arn_suffix
}

output "target_group_suffixes" {
  description = "By track, the target group's name in CloudWatch."
  value       = { for track, group in aws_lb_target_group.this : track => group.arn_suffix }
}

output "idle_seconds" {
  description = "How long it keeps an idle connection to a task."
  value       = local.idle_seconds
}
