"""The playground: one HTML file in which a browser runs a meta-trained learner on what is drawn in it."""
