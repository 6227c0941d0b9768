"""What is done on and for the floor."""
