"""What only a chip can be asked: registers driven to their ends, more work, faults."""
