"""How a spike is differentiated: one idea a file, `estimators` is the table of all."""
