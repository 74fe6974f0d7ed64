"""What an optimum says in the user's units: coefficients, random effects, residuals, criteria."""
