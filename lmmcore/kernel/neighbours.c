/* The moments of a Markov correlation, and their first two derivatives, by subject.

   With f the correlation of a row with the one before it in the subject (0 for the first), u the row and p the
   one before, R^-1 gives

       M = sum_j a_j u_j u_j' + (a_j - 1) p_j p_j' + b_j (u_j p_j' + p_j u_j'),  a = 1 / (1 - f^2), b = -f a

   and log|R| = -sum log a_j. NumPy does the same in lmmcore/moments/markov.py, product by product.

   Subjects go LANES abreast, each at its own rows. One that has ended goes on with f = 0 and u = 0, and adds
   nothing. */

#include "loops.h"

#include <math.h>

#define MOST 12    /* columns */
#define SETS 3     /* the moments and two derivatives */
#define PAIRS (MOST * (MOST + 1) / 2)
#define FACTORS 8  /* 1 - f^2 is multiplied up so often before its logarithm is taken: 1e-16^8 is a number */

#define ARGUMENTS                                                                                           \
    int d, int m, long n, long N, const ptrdiff_t *starts, const ptrdiff_t *outer, long O,                  \
        const double *U, const double *f, const double *f1, const double *f2, double *units, double *total, \
        double *log_r

INLINE lanes gather(const double *values, const long *row, lanes alive)
{
    return alive * (lanes){values[row[0]], values[row[1]], values[row[2]], values[row[3]]};
}

INLINE double logarithms(lanes x)
{
    return log(x[0]) + log(x[1]) + log(x[2]) + log(x[3]);
}

INLINE void neighbours(ARGUMENTS)
{
    memset(total, 0, sizeof(double) * SETS * d * d * O);
    lanes slope_r = {0}, bend_r = {0}, one = 1 + slope_r;
    log_r[0] = 0;
    for (long i = 0; i < N; i += LANES) {
        int abreast = N - i < LANES ? (int)(N - i) : LANES;
        lanes sums[SETS][PAIRS] = {{{0}}}, here[MOST], before[MOST] = {{0}}, rests = one;
        long first[LANES], last[LANES], longest = 0, shortest = abreast < LANES ? 0 : n;
        for (int l = 0; l < LANES; l++) {
            long own = i + (l < abreast ? l : 0);
            first[l] = starts[own];
            last[l] = (own + 1 < N ? starts[own + 1] : n) - 1;
            long size = last[l] - first[l] + 1;
            longest = size > longest ? size : longest;
            shortest = size < shortest ? size : shortest;
        }
        for (long t = 0; t < longest; t++) {
            long row[LANES];
            lanes alive = one;
            for (int l = 0; l < LANES; l++)
                row[l] = first[l] + t;
            for (int l = 0; l < LANES && t >= shortest; l++)
                if (row[l] > last[l] || l >= abreast) {
                    row[l] = last[l];
                    alive[l] = 0;
                }
            lanes v = gather(f, row, alive), square = v * v, rest = 1 - square, a = 1 / rest, b = -v * a;
            rests *= rest;
            if (t % FACTORS == FACTORS - 1) {
                log_r[0] += logarithms(rests);
                rests = one;
            }
            lanes slope = gather(f1, row, alive), bend = gather(f2, row, alive);
            lanes turn = slope * a, pull = v * turn, drift = bend * a + 2 * pull * turn;
            lanes both = (1 + square) * a, a1 = 2 * pull * a, b1 = -both * turn;
            lanes a2 = 2 * a * (turn * slope + v * drift + 2 * pull * pull);
            lanes b2 = -4 * pull * a * turn - both * drift;
            slope_r -= 2 * pull;
            bend_r -= 2 * (slope * turn + v * drift);
            for (int x = 0; x < d; x++)
                here[x] = gather(U + x * n, row, alive);
            for (int x = 0, s = 0; x < d; x++)
                for (int y = 0; y <= x; y++, s++) {
                    lanes own = here[x] * here[y], past = before[x] * before[y];
                    lanes mixed = here[x] * before[y] + before[x] * here[y];
                    sums[0][s] += a * own + square * a * past + b * mixed;
                    sums[1][s] += a1 * (own + past) + b1 * mixed;
                    sums[2][s] += a2 * (own + past) + b2 * mixed;
                }
            memcpy(before, here, d * sizeof *here);
        }
        log_r[0] += logarithms(rests);
        for (int w = 0; w < SETS; w++)
            for (int x = 0, s = 0; x < d; x++)
                for (int y = 0; y <= x; y++, s++)
                    for (int l = 0; l < abreast; l++) {
                        if (y < m)
                            units[((w * d + x) * m + y) * N + i + l] = sums[w][s][l];
                        if (x < m)
                            units[((w * d + y) * m + x) * N + i + l] = sums[w][s][l];
                        total[((w * d + x) * d + y) * O + outer[i + l]] += sums[w][s][l];
                    }
    }
    log_r[1] = added(slope_r);
    log_r[2] = added(bend_r);
    for (int w = 0; w < SETS; w++)
        for (int x = 0; x < d; x++)
            for (int y = 0; y < x; y++)
                for (long o = 0; o < O; o++)
                    total[((w * d + y) * d + x) * O + o] = total[((w * d + x) * d + y) * O + o];
}

#define GIVEN m, n, N, starts, outer, O, U, f, f1, f2, units, total, log_r

FOR_COLUMNS(neighbours, (ARGUMENTS), GIVEN)
FOR_PROCESSORS(void, neighbours_of_any, (ARGUMENTS), (d, GIVEN))

/* U : (d, n); f, f1, f2 : (n,), f and its derivatives; outer : (N,) 0..O-1.
   Gives units : (3, d, m, N), of all columns with the first m; total : (3, d, d, O); log_r : (3,). */
void lmm_neighbours(ARGUMENTS)
{
    CHOSEN(neighbours_of_any)(d, GIVEN);
}
