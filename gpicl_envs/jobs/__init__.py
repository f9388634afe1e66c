"""Independent jobs, in processes of this machine or on a Ray cluster, resumed one by one."""
