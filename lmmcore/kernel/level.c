/* Sums over subjects of what one level of random effects adds to the likelihood, one or two effects each.

   The formulas are those of lmmcore/system/batched_linalg.py and lmmcore/system/level.py, which do the same
   without a compiler, array by array. Here a subject's numbers are read once and never written.

   A is (q, q, stride), B is (r, q, stride), of which n subjects from the pointers on count; psi is Psi's
   entries 00, 01, 11 and |Psi|. For one effect Psi's other entries are 0. */

#include "level.h"
#include "loops.h"

#include <math.h>

#define PAIRS (MOST * (MOST + 1) / 2)

typedef struct {
    lanes a, b, c, left, right, area, det;
} level;

INLINE level level_at(int q, const double *A, long stride, const double *psi, long left)
{
    level at = {0};
    at.a = load(A, left);
    if (q == 2) {
        at.b = load(A + stride, left);
        at.c = load(A + 3 * stride, left);
    }
    at.area = at.a * at.c - at.b * at.b;
    at.left = psi[0] * at.a + psi[1] * at.b;
    at.right = psi[1] * at.b + psi[2] * at.c;
    at.det = 1 + at.left + at.right + psi[3] * at.area;
    return at;
}

INLINE double value(VALUE_ARGUMENTS)
{
    lanes sums[PAIRS] = {{0}}, b[MOST];
    double log_det = 0;
    for (long i = 0; i < n; i += LANES) {
        level at = level_at(q, A + i, stride, psi, n - i);
        lanes inverse = 1 / at.det;
        lanes s = (psi[0] + psi[3] * at.c) * inverse, u = (psi[2] + psi[3] * at.a) * inverse;
        lanes t = (psi[1] - psi[3] * at.b) * inverse;
        log_det += log(at.det[0] * at.det[1]) + log(at.det[2] * at.det[3]);
        int k = 0;
        for (int x = 0; x < r; x++) {
            lanes h[2];
            for (int e = 0; e < q; e++)
                b[x * q + e] = load(B + (x * q + e) * stride + i, n - i);
            h[0] = s * b[x * q] + (q == 2 ? t * b[x * q + 1] : (lanes){0});
            h[1] = q == 2 ? t * b[x * q] + u * b[x * q + 1] : (lanes){0};
            for (int y = 0; y <= x; y++, k++)
                for (int e = 0; e < q; e++)
                    sums[k] += h[e] * b[y * q + e];
        }
    }
    for (int x = 0, k = 0; x < r; x++)
        for (int y = 0; y <= x; y++, k++)
            quadratic[x * r + y] = quadratic[y * r + x] = added(sums[k]);
    return log_det;
}

/* Row e of a symmetric matrix [00, 01, 11] times x. */
INLINE lanes times(int q, const lanes *matrix, int e, const lanes *x)
{
    return q == 2 ? matrix[e] * x[0] + matrix[e + 1] * x[1] : matrix[0] * x[0];
}

INLINE void load_matrix(int q, lanes *found, const double *row, long stride, long left)
{
    found[0] = load(row, left);
    found[1] = found[2] = (lanes){0};
    if (q == 2) {
        found[1] = load(row + stride, left);
        found[2] = load(row + 3 * stride, left);
    }
}

INLINE void slopes(SLOPES_ARGUMENTS)
{
    lanes all[PAIRS] = {{0}}, e_sum[3] = {{0}}, c_sum[3] = {{0}}, both[3][3] = {{{0}}};
    lanes g_sum[PAIRS] = {{0}}, m_sum[2][2] = {{{0}}}, r_sum[3] = {{0}};
    lanes U[MOST], WU[MOST], zero = {0};
    lanes Psi[3] = {zero + psi[0], zero + psi[1], zero + psi[2]};
    int places = q == 2 ? 3 : 1;
    for (long i = 0; i < n; i += LANES) {
        long left = n - i;
        level at = level_at(q, A + i, stride, psi, left);
        lanes inverse = 1 / at.det, C[3] = {{0}}, E[3], M[2][2];
        M[0][0] = (1 + at.right) * inverse;
        M[0][1] = -(psi[1] * at.a + psi[2] * at.b) * inverse;
        M[1][0] = -(psi[0] * at.b + psi[1] * at.c) * inverse;
        M[1][1] = (1 + at.left) * inverse;
        E[0] = (at.a + psi[2] * at.area) * inverse;
        E[1] = (at.b - psi[1] * at.area) * inverse;
        E[2] = (at.c + psi[0] * at.area) * inverse;
        for (int x = 0; x < r; x++) {
            lanes first = load(B + x * q * stride + i, left);
            lanes second = q == 2 ? load(B + (x * q + 1) * stride + i, left) : zero;
            for (int e = 0; e < q; e++)
                U[x * q + e] = M[e][0] * first + M[e][1] * second;
        }
        for (int x = 0; x < r; x++)
            for (int e = 0; e < q; e++) {
                WU[x * q + e] = zero;
                for (int y = 0; y < r; y++)
                    WU[x * q + e] += W[x * r + y] * U[y * q + e];
                for (int l = 0; l <= e; l++)
                    C[e + l] += U[x * q + l] * WU[x * q + e];
            }
        for (int j = 0, k = 0; j < r * q; j++)
            for (int l = 0; l <= j; l++, k++)
                all[k] += U[j] * U[l];
        for (int j = 0; j < places; j++) {
            e_sum[j] += E[j];
            c_sum[j] += C[j];
            for (int l = 0; l < places; l++)
                both[j][l] += (2 * C[j] - E[j]) * E[l];
        }
        if (!below)
            continue;
        lanes H[3], K1[3], K2[3], HK[2][2], MK[2][2], h[MOST], c[MOST], b1[MOST];
        H[0] = (psi[0] + psi[3] * at.c) * inverse;
        H[1] = (psi[1] - psi[3] * at.b) * inverse;
        H[2] = (psi[2] + psi[3] * at.a) * inverse;
        load_matrix(q, K1, A1 + i, stride, left);
        load_matrix(q, K2, A2 + i, stride, left);
        for (int e = 0; e < q; e++)
            for (int l = 0; l < q; l++) {
                lanes column[2] = {K1[l], K1[l + 1]};
                HK[e][l] = times(q, H, e, column);
                MK[e][l] = M[e][0] * column[0] + (q == 2 ? M[e][1] * column[1] : zero);
            }
        for (int x = 0; x < r; x++)
            for (int e = 0; e < q; e++) {
                h[x * q + e] = times(q, Psi, e, U + x * q);
                b1[x * q + e] = load(B1 + (x * q + e) * stride + i, left);
            }
        for (int x = 0, k = 0; x < r; x++) {
            for (int e = 0; e < q; e++)
                c[x * q + e] = b1[x * q + e] - times(q, K1, e, h + x * q);
            for (int y = 0; y <= x; y++, k++)
                for (int e = 0; e < q; e++)
                    g_sum[k] += b1[x * q + e] * h[y * q + e] + h[x * q + e] * c[y * q + e];
        }
        r_sum[0] += H[0] * K1[0] + 2 * H[1] * K1[1] + H[2] * K1[2];
        r_sum[2] += H[0] * K2[0] + 2 * H[1] * K2[1] + H[2] * K2[2];
        for (int e = 0; e < q; e++)
            for (int l = 0; l < q; l++) {
                r_sum[1] -= HK[e][l] * HK[l][e];
                m_sum[e][l] += MK[e][0] * M[l][0] + (q == 2 ? MK[e][1] * M[l][1] : zero);
            }
        for (int x = 0; x < r; x++)
            for (int e = 0; e < q; e++) {
                lanes Wc = zero, Wh = times(q, Psi, e, WU + x * q);
                for (int y = 0; y < r; y++)
                    Wc += W[x * r + y] * c[y * q + e];
                r_sum[1] -= 2 * Wc * times(q, H, e, c + x * q);
                r_sum[2] += Wh * times(q, K2, e, h + x * q);
                r_sum[2] -= 2 * Wh * load(B2 + (x * q + e) * stride + i, left);
                for (int l = 0; l < q; l++)
                    m_sum[e][l] -= 2 * WU[x * q + e] *
                                   (M[l][0] * c[x * q] + (q == 2 ? M[l][1] * c[x * q + 1] : zero));
            }
    }
    for (int e = 0; e < q; e++)
        for (int l = 0; l < q; l++) {
            int j = e * q + l;
            E_sum[j] = added(e_sum[e + l]);
            C_sum[j] = added(c_sum[e + l]);
            for (int o = 0; o < q * q; o++)
                spread[j * q * q + o] = added(both[e + l][o / q + o % q]);
            if (below)
                mixed[j] = added(m_sum[e][l]);
        }
    for (int j = 0, k = 0; j < r * q; j++)
        for (int l = 0; l <= j; l++, k++)
            outer[j * r * q + l] = outer[l * r * q + j] = added(all[k]);
    if (below) {
        for (int x = 0, k = 0; x < r; x++)
            for (int y = 0; y <= x; y++, k++)
                gram[x * r + y] = gram[y * r + x] = added(g_sum[k]);
        for (int j = 0; j < 3; j++)
            rest[j] = added(r_sum[j]);
    }
}

INLINE double value_of_either(VALUE_ARGUMENTS)
{
    return q == 1 ? value(1, r, n, stride, A, B, psi, quadratic)
                  : value(2, r, n, stride, A, B, psi, quadratic);
}

#define GIVEN n, stride, A, B, A1, B1, A2, B2, psi, W, E_sum, C_sum, spread, outer, gram, mixed, rest

INLINE void slopes_of_either(SLOPES_ARGUMENTS)
{
    if (q == 1 && below)
        slopes(1, r, 1, GIVEN);
    else if (q == 1)
        slopes(1, r, 0, GIVEN);
    else if (below)
        slopes(2, r, 1, GIVEN);
    else
        slopes(2, r, 0, GIVEN);
}

FOR_PROCESSORS(double, value_of_either, (VALUE_ARGUMENTS), (q, r, n, stride, A, B, psi, quadratic))
FOR_PROCESSORS(void, slopes_of_either, (SLOPES_ARGUMENTS), (q, r, below, GIVEN))

/* sum of B H B' : (r, r); gives sum log|I + A Psi|. */
double lmm_value(VALUE_ARGUMENTS)
{
    return CHOSEN(value_of_either)(q, r, n, stride, A, B, psi, quadratic);
}

/* With C = U W U': sum E and sum C : (q, q); sum (2 C - E) (x) E : (q, q, q, q); sum U (x) U : (r, q, r, q).
   With below, also what takes the derivatives A1, B1 and A2, B2 of A and B by a parameter of what stands below
   (a dot): sum B.'h + h'B. - h'A.h : (r, r); sum M A. M' - 2 U W (M c)' : (q, q); sum tr(H A.),
   -sum tr(H A. H A.) + 2 <W, c'H c> and sum <A.., H + h'W h> - 2 <B.., W h> : (3,). */
void lmm_slopes(SLOPES_ARGUMENTS)
{
    CHOSEN(slopes_of_either)(q, r, below, GIVEN);
}
