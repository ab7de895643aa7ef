//! containers.conf, registries.conf and their drop-ins as plain structs; parsing apart from reading.
