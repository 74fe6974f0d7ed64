/* The moments of independent rows: A = Z'Z and B = [X y]'Z of each subject, S = [X y]'[X y] of all.

   NumPy does the same in lmmcore/system/moments/subjects.py, product by product. Here each row is read once, LANES rows
   of a subject at a time, and LANES subjects are written together. */

#include "functions.h"
#include "limits.h"
#include "loops.h"

#define MOST MOST_COLUMNS
#define PAIRS (MOST * (MOST + 1) / 2)
#define ARGUMENTS                                                                                           \
    int d, int q, int r, long n, long N, long stride, const int64_t *starts, long end,                    \
        const double *const *U, const int64_t *z, const int64_t *xy, double *A, double *B, double *S

/* Place of columns i and j among the pairs. */
INLINE int pair(int64_t i, int64_t j)
{
    return (int)(i < j ? j * (j + 1) / 2 + i : i * (i + 1) / 2 + j);
}

/* LANES rows of a column, those of which the mask is 0 as 0; null is the constant 1. */
INLINE lanes some_rows(const double *column, long row, long n, bits mask)
{
    lanes found = 1 + (lanes){0};
    if (column && row + LANES <= n)
        memcpy(&found, column + row, sizeof found);
    else if (column)
        for (int l = 0; l < n - row; l++)
            found[l] = column[row + l];
    return (lanes)((bits)found & mask);
}

INLINE void rows(ARGUMENTS)
{
    lanes all[PAIRS] = {{0}};
    bits places;
    for (int l = 0; l < LANES; l++)
        places[l] = l;
    for (long i = 0; i < N; i += LANES) {
        int abreast = N - i < LANES ? (int)(N - i) : LANES;
        lanes sums[LANES][PAIRS], pairs[PAIRS], u[MOST];
        for (int l = 0; l < LANES; l++)
            memset(sums[l], 0, d * (d + 1) / 2 * sizeof **sums);
        for (int l = 0; l < abreast; l++) {
            long last = i + l + 1 < N ? starts[i + l + 1] : end;
            for (long row = starts[i + l]; row < last; row += LANES) {
                bits mask = places < last - row;
                for (int c = 0; c < d; c++)
                    u[c] = some_rows(U[c], row, n, mask);
                for (int c = 0, s = 0; c < d; c++)
                    for (int e = 0; e <= c; e++, s++)
                        sums[l][s] += u[c] * u[e];
            }
        }
        for (int s = 0; s < d * (d + 1) / 2; s++) {
            for (int l = 0; l < LANES; l++)
                pairs[s][l] = added(sums[l][s]);
            all[s] += pairs[s];
        }
        /* Z and [X y] may name a column as often as they like: no array here has their sizes. */
        for (int a = 0; a < q; a++) {
            for (int b = 0; b < q; b++)
                store(A + (a * q + b) * stride + i, pairs[pair(z[a], z[b])], abreast);
            for (int x = 0; x < r; x++)
                store(B + (x * q + a) * stride + i, pairs[pair(xy[x], z[a])], abreast);
        }
    }
    for (int x = 0; x < r; x++)
        for (int y = 0; y < r; y++)
            S[x * r + y] = added(all[pair(xy[x], xy[y])]);
}

#define GIVEN q, r, n, N, stride, starts, end, U, z, xy, A, B, S

FOR_COLUMNS(rows, (ARGUMENTS), GIVEN)
FOR_PROCESSORS(void, rows_of_any, (ARGUMENTS), (d, GIVEN))

/* U : d pointers to columns (n,), null for the constant 1; z : (q,), xy : (r,) their places in Z and in [X y];
   N subjects from starts on, the last of which ends before the row `end`. Gives A : (q, q, stride) and
   B : (r, q, stride) of these subjects, and S : (r, r) over their rows. */
void lmm_rows(ARGUMENTS)
{
    CHOSEN(rows_of_any)(d, GIVEN);
}
