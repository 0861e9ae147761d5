output "names" {
  description = "By rule, the alarm's name in CloudWatch."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.alarm_name }
}
