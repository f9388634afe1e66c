"""Independent jobs, in processes of this machine or on a Ray cluster, skipped when they have a record."""
