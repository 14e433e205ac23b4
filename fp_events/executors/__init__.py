"""Where whole runs execute."""
