"""Structures of random effects and residuals, and variance functions: small maps with derivatives."""
