"""Terraform behind make."""
