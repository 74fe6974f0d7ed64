/* What level.c does, for evaluate.c too: arguments and the order of what they give stand there. */

#include "functions.h"
#include "limits.h"

#define MOST MOST_NUMBERS

#define VALUE_ARGUMENTS                                                                                     \
    int q, int r, long n, long stride, const double *A, const double *B, const double *psi, double *quadratic
#define SLOPES_ARGUMENTS                                                                                    \
    int q, int r, int below, long n, long stride, const double *A, const double *B, const double *A1,       \
        const double *B1, const double *A2, const double *B2, const double *psi, const double *W,           \
        double *E_sum, double *C_sum, double *spread, double *outer, double *gram, double *mixed, double *rest
