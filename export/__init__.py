"""From a trained network to NIR and back."""
