"""What make calls for the product beside the flows: images, deployments, the stack, Terraform, CI."""
