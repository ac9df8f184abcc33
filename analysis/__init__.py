"""Why a network is robust: its input gradients, and what training for them costs and gives."""
