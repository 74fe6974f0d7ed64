"""From starts to a certified optimum: Newton steps, searches, exact zeros."""
