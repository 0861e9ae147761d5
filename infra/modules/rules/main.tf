# The rules of infra/stack/prometheus/rules.yml as alarms of CloudWatch, by the same names and bounds, on what the service logs
# once a minute (serving/telemetry/cloudwatch.py), and a dashboard of it. Three rules have no alarm here:
# ServiceDown (stable-tasks and service-hosts of modules/alarms), LogFull (database-storage: RDS grows its disk by itself) and
# MonitorUnread (nothing is scraped: CloudWatch reads the log).
data "aws_region" "current" {}

locals {
  # By rule: its metrics by letter, their statistic, what must not be greater than the bound, and for how many periods.
  rules = {
    WorkersNotReady         = { metrics = { a = "workers_not_ready" }, statistic = "Maximum", expression = "a + 0", bound = 0, seconds = 60, periods = 2 }
    RequestsFail            = { metrics = { a = "failed_requests", b = "requests" }, statistic = "Sum", expression = "IF(b > 0, a / b, 0)", bound = 0.01, seconds = 300, periods = 2 }
    AnswersSlow             = { metrics = { a = "slow_prediction_requests", b = "prediction_requests" }, statistic = "Sum", expression = "IF(b > 0, a / b, 0)", bound = 0.01, seconds = 300, periods = 2 }
    NoRoom                  = { metrics = { a = "busy" }, statistic = "Sum", expression = "a / 300", bound = 1, seconds = 300, periods = 2 }
    WrongKeys               = { metrics = { a = "unauthorised" }, statistic = "Sum", expression = "a / 300", bound = 1, seconds = 300, periods = 2 }
    FeaturesStale           = { metrics = { a = "stale_features", b = "rows" }, statistic = "Sum", expression = "IF(b > 0, a / b, 0)", bound = 0.5, seconds = 900, periods = 2 }
    FeaturesMissing         = { metrics = { a = "most_missed_feature", b = "rows" }, statistic = "Sum", expression = "IF(b > 0, a / b, 0)", bound = 0.9, seconds = 900, periods = 2 }
    FeaturesBehind          = { metrics = { a = "features_behind_seconds" }, statistic = "Maximum", expression = "a + 0", bound = 10800, seconds = 300, periods = 3 }
    ModelRefused            = { metrics = { a = "model_refused" }, statistic = "Maximum", expression = "a + 0", bound = 0, seconds = 60, periods = 2 }
    ModelNotSigned          = { metrics = { a = "refused_model_signatures" }, statistic = "Sum", expression = "a + 0", bound = 0, seconds = 900, periods = 1 }
    FeaturesNotSigned       = { metrics = { a = "refused_feature_signatures" }, statistic = "Sum", expression = "a + 0", bound = 0, seconds = 900, periods = 1 }
    FeatureRegistryRefused  = { metrics = { a = "refused_registries" }, statistic = "Sum", expression = "a + 0", bound = 0, seconds = 900, periods = 1 }
    ChampionMovedUnrecorded = { metrics = { a = "champion_moved_unrecorded" }, statistic = "Maximum", expression = "a + 0", bound = 0, seconds = 60, periods = 1 }
    ModelOld                = { metrics = { a = "model_age_seconds" }, statistic = "Minimum", expression = "a + 0", bound = 5184000, seconds = 3600, periods = 1 }
    VersionsMixed           = { metrics = { a = "versions_served" }, statistic = "Maximum", expression = "a + 0", bound = 1, seconds = 300, periods = 2 }
    LogSlow                 = { metrics = { a = "slow_log_writes", b = "log_writes" }, statistic = "Sum", expression = "IF(b > 0, a / b, 0)", bound = 0.01, seconds = 300, periods = 2 }
    LogFails                = { metrics = { a = "log_failures" }, statistic = "Sum", expression = "a + 0", bound = 0, seconds = 300, periods = 1 }
    ChallengerFails         = { metrics = { a = "challenger_errors" }, statistic = "Sum", expression = "a + 0", bound = 20, seconds = 600, periods = 1 }
    # Monitoring logs once a day; of a metric with a dimension, one value of it.
    MonitorAsksForTraining = { metrics = { a = "monitor_decision" }, dimensions = { decision = "retrain" }, statistic = "Maximum", expression = "a + 0", bound = 0, seconds = 86400, periods = 1 }
    MonitorSilent          = { metrics = { a = "monitor_decision" }, dimensions = { decision = "retrain" }, statistic = "SampleCount", expression = "IF(FILL(a, 0) > 0, 0, 1)", bound = 0, seconds = 86400, periods = 2 }
  }

  service = ["requests", "failed_requests", "slow_prediction_requests", "busy", "workers_not_ready", "model_refused", "features_behind_seconds", "model_age_seconds", "log_failures"]
  monitor = ["monitor_decision", "monitor_breached_windows", "monitor_label_coverage", "monitor_drifted_columns", "monitor_anomalies", "monitor_metric"]

  widgets = concat(
    [
      for name in local.service : {
        type       = "metric"
        properties = { title = name, region = data.aws_region.current.name, period = 300, stat = contains(["workers_not_ready", "model_refused", "features_behind_seconds", "model_age_seconds"], name) ? "Maximum" : "Sum", metrics = [[var.name, name]] }
      }
    ],
    # Monitoring runs once a day; its gauges have labels, so they are searched for.
    [
      for name in local.monitor : {
        type       = "metric"
        properties = { title = name, region = data.aws_region.current.name, period = 86400, stat = "Maximum", metrics = [[{ expression = "SEARCH('Namespace=\"${var.name}\" MetricName=\"${name}\"', 'Maximum', 86400)", id = "a" }]] }
      }
    ],
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.rules

  alarm_name          = "${var.name}-rule-${each.key}"
  alarm_description   = "${each.key} of infra/stack/prometheus/rules.yml says what it means and what to do"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.bound
  evaluation_periods  = each.value.periods
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]

  metric_query {
    id          = "value"
    expression  = each.value.expression
    label       = each.key
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = metric_query.key

      metric {
        namespace   = var.name
        metric_name = metric_query.value
        dimensions  = lookup(each.value, "dimensions", {})
        period      = each.value.seconds
        stat        = each.value.statistic
      }
    }
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for index, widget in local.widgets : merge(widget, { x = 8 * (index % 3), y = 6 * floor(index / 3), width = 8, height = 6 })
    ]
  })
}
