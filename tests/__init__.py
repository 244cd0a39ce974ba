"""unit/ touches nothing real, packaging/ builds and installs; what else there is says it by its name."""
