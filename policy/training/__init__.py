"""What a policy learns from, and how. Nothing here is imported by a call."""
