/* Passes over whole columns. */

#include "functions.h"
#include "loops.h"

#define CHUNK 4096  /* values after which an answer that is known ends the pass */
#define RESIDUALS_ARGUMENTS \
    int p, long n, const double *y, const double *const *X, const double *coefficients, double *left

INLINE void residuals(RESIDUALS_ARGUMENTS)
{
    for (long i = 0; i < n; i += LANES) {
        lanes rest = load(y + i, n - i);
        for (int k = 0; k < p; k++)
            rest -= X[k] ? load(X[k] + i, n - i) * coefficients[k] : coefficients[k] + (lanes){0};
        store(left + i, rest, n - i);
    }
}

FOR_PROCESSORS(void, residuals, (RESIDUALS_ARGUMENTS), (p, n, y, X, coefficients, left))

/* y less the sum of coefficient * column : (n,), of p columns, null for the constant 1. */
void lmm_residuals(RESIDUALS_ARGUMENTS)
{
    CHOSEN(residuals)(p, n, y, X, coefficients, left);
}

INLINE long runs(long n, const int64_t *values)
{
    long changes = 0;
    for (long i = 1; i < n;) {
        long end = n - i < CHUNK ? n : i + CHUNK, falls = 0;
        for (; i < end; i++) {
            falls += values[i] < values[i - 1];
            changes += values[i] != values[i - 1];
        }
        if (falls)
            return -1;
    }
    return changes + (n > 0);
}

FOR_PROCESSORS(long, runs, (long n, const int64_t *values), (n, values))

/* How many different values : (n,) there are; -1 where they do not stand in rising order. */
long lmm_runs(long n, const int64_t *values)
{
    return CHOSEN(runs)(n, values);
}
