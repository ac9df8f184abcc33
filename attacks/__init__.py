"""Break any model that is a callable with bounds."""
