/* What the moment estimate of Psi is made of, one or two random effects a subject.

   lmmcore/optimise/starts.py does the same without a compiler, array by array. */

#include "functions.h"
#include "loops.h"

#define PLACES 3  /* entries 00, 01, 11 of a symmetric matrix */

#define ARGUMENTS                                                                                           \
    int q, long n, long stride, const double *A, const double *b, double least, double *usable,             \
        double *explained, double *effects, double *sampling

INLINE void start(ARGUMENTS)
{
    lanes zero = {0}, one = 1 + zero, count = zero, fit = zero, squares[PLACES] = {zero}, inverses[PLACES] = {zero};
    for (long i = 0; i < n; i += LANES) {
        long left = n - i;
        lanes a = load(A + i, left), c = one, off = zero, y[2] = {load(b + i, left), zero};
        if (q == 2) {
            off = load(A + stride + i, left);
            c = load(A + 3 * stride + i, left);
            y[1] = load(b + stride + i, left);
        }
        lanes det = a * c - off * off;
        bits good = (a > 0) & (c > 0) & (det > least * a * c);
        lanes kept = (lanes)((bits)one & good);
        lanes share = kept / (lanes)(((bits)det & good) | ((bits)one & ~good));
        lanes inverse[PLACES] = {c * share, -off * share, a * share};
        lanes h[2] = {inverse[0] * y[0] + inverse[1] * y[1], inverse[1] * y[0] + inverse[2] * y[1]};
        count += kept;
        fit += h[0] * y[0] + h[1] * y[1];
        for (int e = 0; e < q; e++)
            for (int l = 0; l <= e; l++) {
                squares[e + l] += h[e] * h[l];
                inverses[e + l] += inverse[e + l];
            }
    }
    *usable = added(count);
    *explained = added(fit);
    for (int e = 0; e < q; e++)
        for (int l = 0; l < q; l++) {
            effects[e * q + l] = added(squares[e + l]);
            sampling[e * q + l] = added(inverses[e + l]);
        }
}

#define GIVEN n, stride, A, b, least, usable, explained, effects, sampling

INLINE void start_of_either(ARGUMENTS)
{
    if (q == 1)
        start(1, GIVEN);
    else
        start(2, GIVEN);
}

FOR_PROCESSORS(void, start_of_either, (ARGUMENTS), (q, GIVEN))

/* A : (q, q, stride), b : (q, stride) of n subjects; least : what each pivot of A must leave of its diagonal entry for
   a subject to count. Gives how many count, and over these the sums of b'A^-1 b, (A^-1 b)(A^-1 b)' and A^-1. */
void lmm_start(ARGUMENTS)
{
    CHOSEN(start_of_either)(q, GIVEN);
}
