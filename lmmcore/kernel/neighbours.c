/* The moments of a Markov correlation that decays with the gap, and their first two derivatives, by subject.

   With f = exp(-gap * decay) the correlation of a row with the one before it in the subject (0 for the first),
   u the row, p the one before and v = u - f p what is new in the row, R^-1 gives

       M = sum_j a_j v_j v_j',  a = 1 / (1 - f^2),  log|R| = sum log(1 - f_j^2)

   and the derivatives are by -log(decay). NumPy does the same in lmmcore/system/moments/markov.py, product by product.

   Subjects go LANES abreast, each at its own rows. One that has ended goes on with f = 0 and u = 0, and adds
   nothing. Sums over subjects are made in EIGHT parts whatever LANES is: the result is the same to the last bit. */

#include "functions.h"
#include "limits.h"
#include "loops.h"

#include <math.h>

#define MOST MOST_NEIGHBOURS
#define SETS 3      /* the moments and two derivatives */
#define EIGHT 8
#define HALVES (EIGHT / LANES)
#define PAIRS (MOST * (MOST + 1) / 2)
#define FARTHEST 708.0 /* gap * decay from which f is 0 */

#define ARGUMENTS                                                                                            \
    int d, int sets, int m, int q, int k, long n, long N, const int64_t *starts, const int64_t *outer,   \
        long O, const double *U, const double *gaps, double decay, const double *C, double *A, double *B,    \
        double *total, double *log_r

INLINE lanes gather(const double *values, const long *row)
{
    lanes found;
    for (int l = 0; l < LANES; l++)
        found[l] = values[row[l]];
    return found;
}

/* f = exp(-u) for 0 <= u < FARTHEST, and 1 - f to the last digit: f is 2^whole times the exponential of what is left,
   at most log(2) / 2. */
INLINE lanes decayed(lanes u, lanes *less)
{
    const double to_whole = 0x1.8p52; /* adding it leaves the whole number in the last bits */
    lanes shifted = u * -1.4426950408889634 + to_whole, whole = shifted - to_whole;
    lanes x = -u - whole * 0x1.62e42fefap-1 - whole * 0x1.cf79abc9e3b39p-40;
    /* The series in pairs, then pairs of these: nothing waits long for what stands before it. */
    lanes x2 = x * x, x4 = x2 * x2, x8 = x4 * x4;
    lanes low = 0.5 + x * (1.0 / 6) + x2 * (1.0 / 24 + x * (1.0 / 120));
    lanes next = (1.0 / 720 + x * (1.0 / 5040)) + x2 * (1.0 / 40320 + x * (1.0 / 362880));
    lanes high = (1.0 / 3628800 + x * (1.0 / 39916800)) + x2 * (1.0 / 479001600 + x * (1.0 / 6227020800));
    lanes more = x + x2 * ((low + x4 * next) + x8 * high); /* exp(x) - 1 */
    lanes scale = (lanes)(((bits)shifted + 1023) << 52);
    *less = (1 - scale) - scale * more;
    return scale + scale * more;
}

/* Takes the exponents out of positive numbers and counts them. */
INLINE lanes mantissas(lanes x, bits *exponents)
{
    *exponents += ((bits)x >> 52) - 1023;
    return (lanes)(((bits)x & 0xfffffffffffff) | 0x3ff0000000000000);
}

/* [Z X y]' M [Z] = C'(sums)Z of LANES subjects, of which the first `abreast` are kept. */
INLINE void turn(int d, int m, int q, int k, long N, const lanes *sums, const double *C, int abreast, double *A,
                 double *B)
{
    for (int e = 0; e < q; e++) {
        lanes right[MOST];
        for (int x = 0; x < d; x++) {
            right[x] = sums[0] * 0;
            for (int y = 0; y < m; y++)
                right[x] += sums[x < y ? y * (y + 1) / 2 + x : x * (x + 1) / 2 + y] * C[y * k + e];
        }
        for (int l = 0; l < k; l++) {
            lanes found = sums[0] * 0;
            for (int x = 0; x < (l < q ? m : d); x++)
                found += right[x] * C[x * k + l];
            store(l < q ? A + (l * q + e) * N : B + ((l - q) * q + e) * N, found, abreast);
        }
    }
}

/* The sum of all parts, in an order that LANES does not change. */
INLINE double together(const lanes *parts, int apart)
{
    double each[EIGHT];
    for (int h = 0; h < HALVES; h++)
        memcpy(each + h * LANES, parts + h * apart, sizeof *parts);
    double sum = (each[0] + each[1]) + (each[2] + each[3]);
    for (int l = 4; l < EIGHT; l++)
        sum += each[l];
    return sum;
}

INLINE void neighbours(ARGUMENTS)
{
    lanes all[HALVES][SETS][PAIRS] = {{{{0}}}}, slopes_r[HALVES] = {{0}}, bends_r[HALVES] = {{0}}, one = 1 + *slopes_r;
    lanes products[HALVES];
    bits exponents[HALVES] = {{0}};
    for (int h = 0; h < HALVES; h++)
        products[h] = one;
    int pairs = d * (d + 1) / 2;
    if (O > 1)
        memset(total, 0, sizeof(double) * sets * d * d * O);
    for (long i = 0; i < N; i += LANES) {
        int abreast = N - i < LANES ? (int)(N - i) : LANES, half = (int)(i / LANES % HALVES);
        lanes slope_r = slopes_r[half], bend_r = bends_r[half], rests = products[half];
        bits exponent = exponents[half];
        lanes sums[SETS][PAIRS], here[MOST], new[MOST], before[MOST];
        for (int w = 0; w < sets; w++)
            memset(sums[w], 0, pairs * sizeof **sums);
        memset(before, 0, d * sizeof *before);
        long row[LANES], last[LANES], longest = 0, shortest = abreast < LANES ? 0 : n;
        for (int l = 0; l < LANES; l++) {
            long own = i + (l < abreast ? l : 0);
            row[l] = starts[own];
            last[l] = (own + 1 < N ? starts[own + 1] : n) - 1;
            long size = last[l] - row[l] + 1;
            longest = size > longest ? size : longest;
            shortest = size < shortest ? size : shortest;
        }
        for (long t = 0; t < longest; t++) {
            bits alive = (bits){0} - 1;
            long place[LANES];
            for (int l = 0; l < LANES; l++)
                place[l] = row[l] + t;
            for (int l = 0; l < LANES && t >= shortest; l++)
                if (place[l] > last[l] || l >= abreast) {
                    place[l] = last[l];
                    alive[l] = 0;
                }
            lanes u = gather(gaps, place) * decay;
            bits near = alive & (u < FARTHEST);
            u = (lanes)((bits)u & near);
            lanes less, f = (lanes)((bits)decayed(u, &less) & near);
            lanes rest = (lanes)(((bits)(less * (1 + f)) & near) | ((bits)one & ~near)), a = 1 / rest;
            rests = mantissas(rests * rest, &exponent);
            lanes f1 = u * f, f2 = (u - 1) * f1, turned = f1 * a, pull = f * turned;
            lanes bend = f1 * turned + f * f2 * a;
            lanes a1 = 2 * pull * a, a2 = 2 * a * (bend + 4 * pull * pull);
            lanes c2 = 2 * a1 * f1 + a * f2, e2 = 2 * turned * f1;
            slope_r -= 2 * pull;
            bend_r -= 2 * bend + 4 * pull * pull;
            for (int x = 0; x < d; x++) {
                here[x] = (lanes)((bits)gather(U + x * n, place) & alive);
                new[x] = here[x] - f * before[x];
            }
            for (int x = 0, s = 0; x < d; x++)
                for (int y = 0; y <= x; y++, s++) {
                    lanes own = new[x] * new[y];
                    sums[0][s] += a * own;
                    if (sets == 1)
                        continue;
                    lanes mixed = new[x] * before[y] + before[x] * new[y];
                    sums[1][s] += a1 * own - turned * mixed;
                    sums[2][s] += a2 * own - c2 * mixed + e2 * (before[x] * before[y]);
                }
            memcpy(before, here, d * sizeof *here);
        }
        slopes_r[half] = slope_r, bends_r[half] = bend_r, products[half] = rests, exponents[half] = exponent;
        for (int w = 0; w < sets; w++) {
            turn(d, m, q, k, N, sums[w], C, abreast, A + w * q * q * N + i, B + w * (k - q) * q * N + i);
            if (O == 1)
                for (int s = 0; s < pairs; s++)
                    all[half][w][s] += sums[w][s];
            else
                for (int x = 0, s = 0; x < d; x++)
                    for (int y = 0; y <= x; y++, s++)
                        for (int l = 0; l < abreast; l++)
                            total[((w * d + x) * d + y) * O + outer[i + l]] += sums[w][s][l];
        }
    }
    for (int w = 0; w < sets; w++)
        for (int x = 0, s = 0; x < d; x++)
            for (int y = 0; y <= x; y++, s++) {
                double *to = total + ((w * d + x) * d + y) * O;
                if (O == 1)
                    *to = together(&all[0][w][s], SETS * PAIRS);
                if (y < x)
                    memcpy(total + ((w * d + y) * d + x) * O, to, O * sizeof *to);
            }
    log_r[0] = 0;
    for (int l = 0; l < EIGHT; l++)
        log_r[0] += log(products[l / LANES][l % LANES]) + exponents[l / LANES][l % LANES] * 0.6931471805599453;
    if (sets > 1) {
        log_r[1] = together(slopes_r, 1);
        log_r[2] = together(bends_r, 1);
    }
}

#define GIVEN m, q, k, n, N, starts, outer, O, U, gaps, decay, C, A, B, total, log_r

INLINE void with_derivatives_or_not(ARGUMENTS)
{
    if (sets == 1)
        neighbours(d, 1, GIVEN);
    else
        neighbours(d, SETS, GIVEN);
}

FOR_COLUMNS(with_derivatives_or_not, (ARGUMENTS), sets, GIVEN)

#ifdef WIDE

void lmm_neighbours_wide(ARGUMENTS)
{
    with_derivatives_or_not_of_any(d, sets, GIVEN);
}

#else

FOR_PROCESSORS(void, with_derivatives_or_not_of_any, (ARGUMENTS), (d, sets, GIVEN))

void lmm_neighbours_wide(ARGUMENTS);

/* U : (d, n); gaps : (n,), infinite for first rows; [Z X y] = U'C, C : (d, k), its first q columns Z, made of the
   first m of U; outer : (N,) 0..O-1; sets : 1, or 3 for the derivatives too. Gives A : (sets, q, q, N),
   B : (sets, k - q, q, N); total : (sets, d, d, O), sums of all columns of U; log_r : (sets,). */
void lmm_neighbours(ARGUMENTS)
{
    if (HAS_WIDE)
        lmm_neighbours_wide(d, sets, GIVEN);
    else
        CHOSEN(with_derivatives_or_not_of_any)(d, sets, GIVEN);
}

#endif
