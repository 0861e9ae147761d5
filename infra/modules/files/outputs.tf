output "folders" {
  description = "By folder (serving, prefect), what a task names to mount it; known once it can be mounted."
  value = {
    for name, point in aws_efs_access_point.this : name => {
      file_system_id   = aws_efs_file_system.this.id
      file_system_arn  = aws_efs_file_system.this.arn
      access_point_id  = point.id
      access_point_arn = point.arn
    }
  }
  depends_on = [aws_efs_mount_target.this, aws_efs_file_system_policy.this]
}
