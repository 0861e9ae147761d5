"""Looking at data and features before a model is trusted: pages and tables, no flow."""
