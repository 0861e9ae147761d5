output "names" {
  description = "By short name, the alarm's name in CloudWatch."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.alarm_name }
}

output "topic_arn" {
  description = "Topic that the alarms are sent to."
  value       = aws_sns_topic.this.arn
}
