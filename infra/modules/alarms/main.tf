# Alarms by mail. What Prometheus would say of the service's own metrics is in infra/stack/prometheus; these are AWS's.
locals {
  # By name: metric, statistic, and the bound that must not be passed for so many minutes.
  of_tracks = merge([
    for track, suffix in var.target_group_suffixes : {
      "${track}-errors" = {
        description = "The ${track} service answers with 5xx more than 5 times a minute"
        namespace   = "AWS/ApplicationELB"
        metric      = "HTTPCode_Target_5XX_Count"
        dimensions  = { LoadBalancer = var.balancer_suffix, TargetGroup = suffix }
        statistic   = "Sum"
        threshold   = 5
        minutes     = 2
        below       = false
      }
      "${track}-slow" = {
        description = "One in twenty answers of the ${track} service takes more than half a second"
        namespace   = "AWS/ApplicationELB"
        metric      = "TargetResponseTime"
        dimensions  = { LoadBalancer = var.balancer_suffix, TargetGroup = suffix }
        statistic   = "p95"
        threshold   = 0.5
        minutes     = 3
        below       = false
      }
    }
  ]...)

  of_cache = merge([
    for number, node in var.cache_nodes : {
      "cache-${number + 1}-memory" = {
        description = "Redis node ${node} is more than 80 percent full; at 100 a materialisation fails"
        namespace   = "AWS/ElastiCache"
        metric      = "DatabaseMemoryUsagePercentage"
        dimensions  = { CacheClusterId = node }
        statistic   = "Average"
        threshold   = 80
        minutes     = 5
        below       = false
      }
    }
  ]...)

  # Each service's own tasks: a sum over the cluster would count a second task of one for the missing one of another.
  of_services = {
    for short, service in var.services : "${short}-tasks" => {
      description = "Fewer than ${service.tasks} tasks of ${service.name} run for 15 minutes"
      namespace   = "ECS/ContainerInsights"
      metric      = "RunningTaskCount"
      dimensions  = { ClusterName = var.cluster_name, ServiceName = service.name }
      statistic   = "Maximum"
      threshold   = service.tasks
      minutes     = 15
      below       = true
      missing     = "breaching" # a service without a task sends nothing
    }
  }

  of_the_rest = {
    "service-hosts" = {
      description = "Fewer healthy tasks than the least number"
      namespace   = "AWS/ApplicationELB"
      metric      = "HealthyHostCount"
      dimensions  = { LoadBalancer = var.balancer_suffix, TargetGroup = var.target_group_suffixes["stable"] }
      statistic   = "Minimum"
      threshold   = var.least_tasks
      minutes     = 5
      below       = true
    }
    "balancer-errors" = {
      description = "The load balancer itself answers with 5xx: no task takes requests"
      namespace   = "AWS/ApplicationELB"
      metric      = "HTTPCode_ELB_5XX_Count"
      dimensions  = { LoadBalancer = var.balancer_suffix }
      statistic   = "Sum"
      threshold   = 5
      minutes     = 2
      below       = false
    }
    "database-cpu" = {
      description = "PostgreSQL uses more than 80 percent of its processors"
      namespace   = "AWS/RDS"
      metric      = "CPUUtilization"
      dimensions  = { DBInstanceIdentifier = var.database }
      statistic   = "Average"
      threshold   = 80
      minutes     = 10
      below       = false
    }
    "database-storage" = {
      description = "PostgreSQL has less than a tenth of its first storage left"
      namespace   = "AWS/RDS"
      metric      = "FreeStorageSpace"
      dimensions  = { DBInstanceIdentifier = var.database }
      statistic   = "Minimum"
      threshold   = var.database_storage_gb * 100000000 # bytes
      minutes     = 5
      below       = true
    }
  }

  alarms = merge(local.of_tracks, local.of_cache, local.of_services, local.of_the_rest)
}

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "AlarmsOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "this" {
  arn    = aws_sns_topic.this.arn
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = each.value.below ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = try(each.value.missing, "notBreaching")
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
