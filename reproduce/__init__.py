"""The tables and figures of Liu et al. 2024, measured again, with the deployed chip beside them."""
