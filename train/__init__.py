"""Norse networks, objectives and the loop that trains them."""
