"""What runs and reports every experiment: trials, the sweep over them, plots and pages."""
