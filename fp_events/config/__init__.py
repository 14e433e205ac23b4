"""Configuration files and environment to frozen settings."""
