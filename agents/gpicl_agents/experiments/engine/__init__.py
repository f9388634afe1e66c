"""What all experiments share: trials and their records, the sweep over them, figures, findings and pages."""
