/* The loops that border.c calls: what they take and give is said where each is written. */

#include <stddef.h>
#include <stdint.h>

double lmm_evaluate(int q, int r, int m, int sets, long n, double nu, int reml, const double *A, const double *B,
                    const double *S, const double *log_r, const double *factor, const double *directions,
                    const double *bends, double *lower, double *gradient, double *hessian, double *gram,
                    double *cone);
void lmm_neighbours(int d, int sets, int m, int q, int k, long n, long N, const int64_t *starts,
                    const int64_t *outer, long O, const double *U, const double *gaps, double decay,
                    const double *C, double *A, double *B, double *total, double *log_r);
long lmm_patterns(int k, long N, const double *const *entries, long most, long probed, long size, int64_t *table,
                  int64_t *pattern, int64_t *member);
void lmm_residuals(int p, long n, const double *y, const double *const *X, const double *coefficients, double *left);
void lmm_rows(int d, int q, int r, long n, long N, long stride, const int64_t *starts, long end,
              const double *const *U, const int64_t *z, const int64_t *xy, double *A, double *B, double *S);
long lmm_runs(long n, const int64_t *values);
void lmm_slopes(int q, int r, int below, long n, long stride, const double *A, const double *B, const double *A1,
                const double *B1, const double *A2, const double *B2, const double *psi, const double *W,
                double *E_sum, double *C_sum, double *spread, double *outer, double *gram, double *mixed,
                double *rest);
void lmm_start(int q, long n, long stride, const double *A, const double *b, double least, double *usable,
               double *explained, double *effects, double *sampling);
void lmm_turn(int q, int r, long n, long stride, const double *A, const double *B, const double *fixed,
              const double *random, double *to_A, double *to_B);
double lmm_value(int q, int r, long n, long stride, const double *A, const double *B, const double *psi,
                 double *quadratic);
