"""Networks that are differential equations, as a whole or layer by layer."""
