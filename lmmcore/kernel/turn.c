/* Moments in other coordinates: A' = R'A R and B' = F'B R of each subject, one or two random effects each. */

#include "level.h"
#include "loops.h"

#define ARGUMENTS                                                                                            \
    int q, int r, long n, long stride, const double *A, const double *B, const double *fixed,                \
        const double *random, double *to_A, double *to_B

/* left' M random : (rows, q) of LANES subjects, M and the result : (rows, q, stride). */
INLINE void turned(int rows, int q, long n, long stride, const double *M, const double *left, const double *random,
                   double *to)
{
    lanes half[MOST];
    for (int x = 0; x < rows; x++)
        for (int l = 0; l < q; l++) {
            half[x * q + l] = (lanes){0};
            for (int k = 0; k < q; k++)
                half[x * q + l] += load(M + (x * q + k) * stride, n) * random[k * q + l];
        }
    for (int x = 0; x < rows; x++)
        for (int l = 0; l < q; l++) {
            lanes found = {0};
            for (int y = 0; y < rows; y++)
                found += left[y * rows + x] * half[y * q + l];
            store(to + (x * q + l) * stride, found, n);
        }
}

INLINE void turn(ARGUMENTS)
{
    for (long i = 0; i < n; i += LANES) {
        turned(q, q, n - i, stride, A + i, random, random, to_A + i);
        turned(r, q, n - i, stride, B + i, fixed, random, to_B + i);
    }
}

#define GIVEN n, stride, A, B, fixed, random, to_A, to_B

INLINE void turn_of_either(ARGUMENTS)
{
    if (q == 1)
        turn(1, r, GIVEN);
    else if (r == 3)
        turn(2, 3, GIVEN);
    else
        turn(2, r, GIVEN);
}

FOR_PROCESSORS(void, turn_of_either, (ARGUMENTS), (q, r, GIVEN))

/* A : (q, q, stride), B : (r, q, stride) of n subjects; fixed : (r, r), F; random : (q, q), R. */
void lmm_turn(ARGUMENTS)
{
    CHOSEN(turn_of_either)(q, r, GIVEN);
}
