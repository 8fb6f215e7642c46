"""What every service stands on: one noun a module, no rule of any service."""
