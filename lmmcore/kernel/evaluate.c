/* The deviance at one theta with its first two derivatives: the sums of level.c, the profile over beta and sigma^2
   between them, and what they make, in one call. lmmcore/likelihood/profile.py and level.py say what is what. */

#include "level.h"

#include <math.h>
#include <string.h>

#define EFFECTS (MOST_EFFECTS * MOST_EFFECTS) /* and parameters, MOST_DIRECTIONS and one below */

/* Lower factor of a symmetric matrix : (r, r); 0 where it has none. */
static int cholesky(int r, const double *matrix, double *lower)
{
    memset(lower, 0, sizeof(double) * r * r);
    for (int j = 0; j < r; j++)
        for (int i = j; i < r; i++) {
            double rest = matrix[i * r + j];
            for (int k = 0; k < j; k++)
                rest -= lower[i * r + k] * lower[j * r + k];
            if (i == j && !(rest > 0 && rest < INFINITY))
                return 0;
            lower[i * r + j] = i == j ? sqrt(rest) : rest / lower[j * r + j];
        }
    return 1;
}

/* The profile's k' : (r, r), from the lower factor of the Gram matrix. */
static void turned(int r, double nu, const double *lower, double *k)
{
    memset(k, 0, sizeof(double) * r * r);
    for (int j = 0; j < r; j++)
        for (int i = j; i < r; i++) {
            double found = i == j;
            for (int l = j; l < i; l++)
                found -= lower[i * r + l] * k[l * r + j];
            k[i * r + j] = found / lower[i * r + i];
        }
    for (int j = 0; j < r; j++)
        k[(r - 1) * r + j] *= sqrt(nu);
}

/* The weight W : (r, r), of all rows of k' or, with maximum likelihood, of the last. */
static void weigh(int r, int reml, const double *k, double *W)
{
    memset(W, 0, sizeof(double) * r * r);
    for (int c = reml ? 0 : r - 1; c < r; c++)
        for (int a = 0; a < r; a++)
            for (int b = 0; b < r; b++)
                W[a * r + b] += k[c * r + a] * k[c * r + b];
}

/* k' gram k : (r, r). */
static void within(int r, const double *k, const double *gram, double *N)
{
    double half[MOST * MOST];
    for (int c = 0; c < r; c++)
        for (int b = 0; b < r; b++) {
            half[c * r + b] = 0;
            for (int a = 0; a <= c; a++)
                half[c * r + b] += k[c * r + a] * gram[a * r + b];
        }
    for (int c = 0; c < r; c++)
        for (int d = 0; d < r; d++) {
            N[c * r + d] = 0;
            for (int b = 0; b <= d; b++)
                N[c * r + d] += half[c * r + b] * k[d * r + b];
        }
}

static double dot(int size, const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < size; i++)
        sum += a[i] * b[i];
    return sum;
}

/* A : (sets, q, q, n), B : (sets, r, q, n), S : (sets, r, r), log_r : (sets,), of which sets is 1, or 3 with the
   derivatives by one parameter of what stands below; factor : (q, q), Lambda; directions : (m, q, q) and
   bends : (m, m, q, q), derivatives of Psi. With M = m, or m + 1 below: gives lower : (r, r), the factor of the
   Gram matrix, gradient : (M,), hessian : (M, M), gram : (M, r, r), cone : (q, q), and returns log|V| or, where there
   is no factor, NaN. */
double lmm_evaluate(int q, int r, int m, int sets, long n, double nu, int reml, const double *A, const double *B,
                    const double *S, const double *log_r, const double *factor, const double *directions,
                    const double *bends, double *lower, double *gradient, double *hessian, double *gram,
                    double *cone)
{
    int below = sets > 1, M = m + below, qq = q * q, rr = r * r;
    double psi[4] = {factor[0] * factor[0], 0, 0, 0};
    double G[MOST * MOST], W[MOST * MOST], k[MOST * MOST], E[EFFECTS], C[EFFECTS], spread[EFFECTS * EFFECTS];
    double outer[MOST * MOST], gram_below[MOST * MOST], N[EFFECTS * MOST * MOST], mixed[EFFECTS], rest[3];
    if (q == 2) {
        double area = factor[0] * factor[3] - factor[1] * factor[2];
        psi[0] = dot(2, factor, factor);
        psi[1] = dot(2, factor, factor + 2);
        psi[2] = dot(2, factor + 2, factor + 2);
        psi[3] = area * area;
    }
    double log_det = lmm_value(q, r, n, n, A, B, psi, G) + log_r[0];
    for (int x = 0; x < rr; x++)
        G[x] = S[x] - G[x];
    if (!cholesky(r, G, lower))
        return NAN;
    turned(r, nu, lower, k);
    weigh(r, reml, k, W);
    const double *A1 = below ? A + qq * n : 0, *B1 = below ? B + r * q * n : 0;
    const double *A2 = below ? A1 + qq * n : 0, *B2 = below ? B1 + r * q * n : 0;
    lmm_slopes(q, r, below, n, n, A, B, A1, B1, A2, B2, psi, W, E, C, spread, outer, gram_below, mixed, rest);
    for (int x = 0; x < qq; x++)
        cone[x] = E[x] - C[x];
    for (int i = 0; i < m; i++) {
        const double *D = directions + i * qq;
        gradient[i] = dot(qq, cone, D);
        for (int j = 0; j < m; j++) {
            double sum = 0;
            for (int x = 0; x < qq * qq; x++) {
                int a = x / (q * qq), b = x / qq % q, c = x / q % q, d = x % q;
                sum += spread[x] * (D[b * q + c] * directions[j * qq + d * q + a] +
                                    directions[j * qq + b * q + c] * D[d * q + a]);
            }
            hessian[i * M + j] = sum / 2 + dot(qq, cone, bends + (i * m + j) * qq);
        }
        for (int x = 0; x < r; x++)
            for (int y = 0; y < r; y++) {
                double sum = 0;
                for (int a = 0; a < q; a++)
                    sum += dot(q, D + a * q, outer + ((x * q + a) * r + y) * q);
                gram[i * rr + x * r + y] = -sum;
            }
        if (below)
            hessian[i * M + m] = hessian[m * M + i] = dot(qq, D, mixed);
    }
    if (below) {
        for (int x = 0; x < rr; x++)
            gram[m * rr + x] = S[rr + x] - gram_below[x];
        gradient[m] = rest[0] + log_r[1] + dot(rr, W, gram + m * rr);
        hessian[m * M + m] = rest[1] + rest[2] + log_r[2] + dot(rr, W, S + 2 * rr);
    }
    /* beta and sigma^2 follow theta: less the sum of omega N_i N_j, omega of the last entry 1 / nu, of others 1
       or, with maximum likelihood, 0 outside the last row and column. */
    for (int i = 0; i < M; i++) {
        within(r, k, gram + i * rr, N + i * rr);
        for (int j = 0; j <= i; j++) {
            const double *a = N + i * rr, *b = N + j * rr;
            double sum = a[rr - 1] * b[rr - 1] / nu + 2 * dot(r - 1, a + rr - r, b + rr - r);
            for (int x = 0; x < r - 1 && reml; x++)
                sum += dot(r - 1, a + x * r, b + x * r);
            hessian[i * M + j] -= sum;
            if (j < i)
                hessian[j * M + i] -= sum;
        }
    }
    return log_det;
}
