"""What goes in: images and labels, as integers on the uint8 lattice."""
