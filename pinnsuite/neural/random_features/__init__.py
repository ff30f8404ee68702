"""Networks with a frozen random hidden layer, fitted by least squares."""
